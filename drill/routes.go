package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Plan computes how to restore every member of the lost cluster, or as many as the spec wants, from the source, under this
// token. It touches nothing but plan.txt in the drill folder. A token that was used before is refused with
// recovery.ErrTokenReused, a version to restore on that does not start on the source with recovery.ErrVersionRefused.
func (d *Drill) Plan(source recovery.Source, down *Down, token identity.Token) (recovery.Plan, error) {
	opts, err := restoreOptions(d.spec, d.places(), d.versions.restoring.Version)
	if err != nil {
		return recovery.Plan{}, err
	}
	return d.planned(recovery.NewPlan(source, down.Layout(), token, opts...))
}

// restoreOptions are those that a plan with a source gets, for this version, where members live at these places.
func restoreOptions(spec Spec, places harness.Placer, version string) ([]recovery.PlanOption, error) {
	opts := []recovery.PlanOption{
		recovery.WithDataDir(restoredDir), recovery.WithPlaces(places), recovery.WithVersion(version),
	}
	if spec.BumpRevision > 0 {
		opts = append(opts, recovery.WithBump(spec.BumpRevision), recovery.WithMarkCompacted())
	}
	if spec.SeparateWAL {
		opts = append(opts, recovery.WithSeparateWAL(restoredWAL))
	}
	if spec.RestoreMembers == 0 {
		return opts, nil
	}
	layout, err := harness.NewLayout(places, spec.RestoreMembers, "")
	if err != nil {
		return nil, err
	}
	return append(opts, recovery.WithSeats(layout.Seats...)), nil
}

// PlanSeed computes how to restore the first member alone from the source, under this token, and to add the others to it. It
// refuses and touches what Plan does.
func (d *Drill) PlanSeed(source recovery.Source, down *Down, token identity.Token) (recovery.Plan, error) {
	opts, err := restoreOptions(d.spec, d.places(), d.versions.restoring.Version)
	if err != nil {
		return recovery.Plan{}, err
	}
	return d.planned(recovery.NewSeedPlan(source, down.Layout(), token, opts...))
}

// PlanForce computes how to go on from one member of the cluster that is down, with --force-new-cluster.
func (d *Drill) PlanForce(down *Down, survivor string) (recovery.Plan, error) {
	return d.planned(recovery.NewForcePlan(down.Layout(), survivor, recovery.WithPlaces(d.places())))
}

// PlanReplace computes how to replace the victims of an outage that left the quorum alive.
func (d *Drill) PlanReplace(outage *Outage) (recovery.Plan, error) {
	return d.planned(recovery.NewReplacePlan(outage.cluster.Layout(), outage.Victims, recovery.WithPlaces(d.places())))
}

// PlanRestart computes how to start the victims of an outage again on the data that they have.
func (d *Drill) PlanRestart(outage *Outage) (recovery.Plan, error) {
	return d.planned(recovery.NewRestartPlan(outage.cluster.Layout(), outage.Victims, outage.Survivors, recovery.WithPlaces(d.places())))
}

// planned writes the plan down.
func (d *Drill) planned(plan recovery.Plan, err error) (recovery.Plan, error) {
	if err != nil {
		return recovery.Plan{}, err
	}
	text := strings.Join(plan.Commands(), "\n") + "\n"
	if err := os.WriteFile(d.folder.plan(), []byte(text), 0o600); err != nil {
		return recovery.Plan{}, fmt.Errorf("write plan: %w", err)
	}
	return plan, d.events.emit(EventPlanned, "%s, cluster %s", plan.Route, plan.ClusterID)
}

// BestSurvivor returns the survivor of the outage that holds the most: the one with the highest applied revision.
func (d *Drill) BestSurvivor(ctx context.Context, outage *Outage) (*harness.Member, error) {
	if len(outage.Survivors) == 0 {
		return nil, errors.New("choose survivor: the outage left none")
	}
	var best *harness.Member
	var highest int64
	for _, name := range outage.Survivors {
		m, err := outage.cluster.Member(name)
		if err != nil {
			return nil, err
		}
		revision, err := appliedRevision(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("choose survivor: %w", err)
		}
		if best == nil || revision > highest {
			best, highest = m, revision
		}
	}
	return best, nil
}

func appliedRevision(ctx context.Context, m *harness.Member) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	probe, err := m.Probe(ctx)
	if err != nil {
		return 0, err
	}
	defer probe.Close()
	read, err := probe.Read(ctx, harness.Serializable)
	return read.Revision, err
}

// takeRoute takes the way back that the spec names, from the outage to the verdict.
func (d *Drill) takeRoute(ctx context.Context, writing *Load, r *rehearsal) (err error) {
	switch d.spec.way() {
	case recovery.RouteForce:
		return d.force(ctx, writing, r)
	case recovery.RouteReplace:
		return d.replace(ctx, writing, r)
	case recovery.RouteRestart:
		return d.restart(ctx, writing, r)
	}
	if err := d.recoverCluster(ctx, writing, &r.proof); err != nil {
		return err
	}
	r.verdict, err = d.Verify(ctx, r.proof)
	return err
}

func (d *Drill) force(ctx context.Context, writing *Load, r *rehearsal) error {
	p := &r.proof
	survivor, err := d.BestSurvivor(ctx, p.Outage)
	if err != nil {
		return err
	}
	if p.Book, err = writing.Stop(ctx); err != nil {
		return err
	}
	if p.Down, err = d.StopAll(ctx, p.Outage); err != nil {
		return err
	}
	if p.Plan, err = d.PlanForce(p.Down, survivor.Name()); err != nil {
		return err
	}
	if p.Reborn, err = d.Follow(ctx, p.Plan, p.Down.Cluster); err != nil {
		return err
	}
	return d.judgeHealed(ctx, r)
}

// replace lets the load go on: the quorum lives, and must go on to.
func (d *Drill) replace(ctx context.Context, writing *Load, r *rehearsal) (err error) {
	p := &r.proof
	if p.Plan, err = d.PlanReplace(p.Outage); err != nil {
		return err
	}
	if p.Reborn, err = d.Follow(ctx, p.Plan, p.Outage.cluster); err != nil {
		return err
	}
	if err := writing.AwaitMore(ctx, moreWrites); err != nil {
		return err
	}
	if p.Book, err = writing.Stop(ctx); err != nil {
		return err
	}
	return d.judgeHealed(ctx, r)
}

func (d *Drill) restart(ctx context.Context, writing *Load, r *rehearsal) (err error) {
	p := &r.proof
	if p.Book, err = writing.Stop(ctx); err != nil {
		return err
	}
	if p.Plan, err = d.PlanRestart(p.Outage); err != nil {
		return err
	}
	if p.Reborn, err = d.Follow(ctx, p.Plan, p.Outage.cluster); err != nil {
		return err
	}
	return d.judgeHealed(ctx, r)
}

func (d *Drill) judgeHealed(ctx context.Context, r *rehearsal) (err error) {
	r.verdict, err = d.VerifyHealed(ctx, r.proof.Healed())
	return err
}

// Healed returns what VerifyHealed wants of a route that keeps the cluster.
func (p Proof) Healed() Healed {
	return Healed{
		Book: p.Book, Outage: p.Outage, Cluster: p.Reborn.Cluster, Route: p.Plan.Route, Canary: p.Reborn.Canary,
	}
}

// titleOfRoute says how a route without a source brings the cluster back; empty for the others.
func (s Spec) titleOfRoute() string {
	return map[recovery.Route]string{
		recovery.RouteForce:   "--force-new-cluster on a survivor",
		recovery.RouteReplace: "replaced one by one",
		recovery.RouteRestart: "started again",
	}[s.way()]
}
