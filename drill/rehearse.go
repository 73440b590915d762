package drill

import (
	"context"
	"errors"
	"fmt"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/load"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Rehearse runs one drill from start to verdict, cleans up, and writes report.json, report.html and junit.xml to the drill folder. The
// report is returned beside an error as far as the drill got. A verdict that is not intact is no error.
func Rehearse(ctx context.Context, spec Spec, opts Options) (out Report, err error) {
	d, err := Open(ctx, spec, opts)
	if d == nil {
		return report.Report{}, err
	}
	var r rehearsal
	switch {
	case err != nil:
	case spec.Own != nil:
		r, err = d.rehearseOwn(ctx)
	default:
		r, err = d.rehearse(ctx)
	}
	if errors.Is(err, ErrNotReborn) {
		r.verdict, err = d.judgeStillborn(ctx, r.proof, err)
	}
	err = errors.Join(err, d.Close(ctx))
	out = d.report(r, err)
	if d.folder.exists() {
		err = errors.Join(err, d.folder.keepReport(out), d.folder.attest(out, d.drilled(r.proof.Source)))
	}
	return out, err
}

// drilled describes the backup that was recovered from.
func (d *Drill) drilled(source recovery.Source) report.Drilled {
	if d.own != nil {
		source = d.own.source // also of one that was refused
	}
	if source.SHA256 == "" {
		return report.Drilled{}
	}
	drilled := report.Drilled{
		Kind: string(source.Kind), SHA256: source.SHA256, SizeBytes: source.SizeBytes, TakenAt: d.events.at(EventFetched),
		RestorePoint: source.RestorePoint,
	}
	if d.own != nil {
		if drilled.TakenAt = d.own.received.Modified; !drilled.TakenAt.IsZero() {
			drilled.Age = max(d.own.began.Sub(drilled.TakenAt), 0)
		}
	}
	return drilled
}

// judgeStillborn judges a restore that went through and yielded a cluster that does not live. If its members can be read,
// the evidence tells which of them is at fault; if not, all that is known is that it is dead.
func (d *Drill) judgeStillborn(ctx context.Context, p Proof, reason error) (verify.Verdict, error) {
	if p.Reborn != nil && p.Reborn.Canary.Acknowledged && p.Plan.Route.NeedsSource() {
		verify := d.Verify
		if d.own != nil {
			verify = d.verifyOwn
		}
		if verdict, err := verify(ctx, p); err == nil {
			return verdict, nil
		}
	}
	kind := verify.Dead
	if errors.Is(reason, harness.ErrForeignCluster) {
		kind = verify.WrongID
	}
	verdict := verify.Verdict{
		Outcome: verify.Damaged, RestorePoint: p.Source.RestorePoint, FindingCount: 1,
		Findings: []verify.Finding{{Kind: kind, Outcome: verify.Damaged, Text: reason.Error()}},
	}
	return verdict, errors.Join(writeJSON(d.folder.verdict(), verdict), d.events.emit(EventJudged, "%s", verdict.Outcome))
}

// rehearsal is how far a drill got.
type rehearsal struct {
	proof   Proof
	verdict verify.Verdict
}

func (d *Drill) rehearse(ctx context.Context) (r rehearsal, err error) {
	p := &r.proof
	if err := d.checkVersions(); err != nil {
		return r, err
	}
	old, err := d.Start(ctx)
	if err != nil {
		return r, err
	}
	writing, err := d.StartLoad(ctx, old, load.Mixed)
	if err != nil {
		return r, err
	}
	if err := writing.AwaitFilled(ctx); err != nil {
		return r, err
	}
	if d.spec.Backup == Before && d.spec.way().NeedsSource() {
		if p.Source, err = d.Backup(ctx, old); err != nil {
			return r, err
		}
		if err := writing.AwaitMore(ctx, moreWrites); err != nil {
			return r, err
		}
	}
	fault, err := d.spec.fault()
	if err != nil {
		return r, err
	}
	if p.Outage, err = d.Strike(ctx, old, fault); err != nil {
		return r, err
	}
	err = d.takeRoute(ctx, writing, &r)
	return r, err
}

// moreWrites is how many writes must be acknowledged after an early backup, so that the drill loses some.
const moreWrites = 100

// recoverCluster follows etcd's recovery page, from the outage to the new cluster.
func (d *Drill) recoverCluster(ctx context.Context, writing *Load, p *Proof) (err error) {
	if d.spec.Source == recovery.SavedSnapshot && d.spec.Backup == After {
		if p.Source, err = d.Rescue(ctx, p.Outage); err != nil {
			return err
		}
	}
	if p.Book, err = writing.Stop(ctx); err != nil {
		return err
	}
	if p.Down, err = d.StopAll(ctx, p.Outage); err != nil {
		return err
	}
	if d.spec.Source == recovery.DBCopy {
		if p.Source, err = d.CopyDB(ctx, p.Down, p.Outage); err != nil {
			return err
		}
	}
	plan := d.Plan
	if d.spec.way() == recovery.RouteSeed {
		plan = d.PlanSeed
	}
	if p.Plan, err = plan(p.Source, p.Down, identity.FreshToken()); err != nil {
		return err
	}
	if p.Reborn, err = d.Follow(ctx, p.Plan, p.Down.Cluster); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	return nil
}
