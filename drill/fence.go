package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// fenceWindow is how long an old member is watched beside the new cluster.
const fenceWindow = 2 * time.Second

// fence starts an old member on its old directory beside the complete new cluster, without a network name, and watches how
// both sides meet. The old member is killed before fence returns.
func (d *Drill) fence(ctx context.Context, outage *Outage, reborn *Reborn) (seen *verify.Fence, err error) {
	old, disk, err := d.oldMember(outage)
	if err != nil {
		return nil, err
	}
	if err := d.events.emit(EventFencing, "old %s", old.Name()); err != nil {
		return nil, err
	}
	before := lookAtAll(ctx, reborn)
	returned, err := old.Return(ctx, d.site, disk)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.dismiss(ctx, returned)) }()
	seen = &verify.Fence{OldMember: old.Name(), SizeOne: outage.cluster.Size() == 1, SetAside: disk != old.Disk()}
	if err := d.watchOld(ctx, returned, outage.cluster, seen); err != nil {
		return nil, err
	}
	after := lookAtAll(ctx, reborn)
	for i, m := range reborn.Members() {
		answer := d.askBoth(ctx, m, outage.cluster, reborn)
		answer.Unchanged = before[i] == after[i] && after[i].failure == ""
		if !answer.Unchanged {
			answer.Change = fmt.Sprintf("%s before, %s after", before[i], after[i])
		}
		seen.Answers = append(seen.Answers, answer)
	}
	return seen, d.events.emit(EventFenced, "old %s, %s", old.Name(), seen.Observed.Round(time.Millisecond))
}

// oldMember chooses who comes back: a survivor that was stopped, else a victim that still has its data, else the directory
// that was set aside before the wipe.
func (d *Drill) oldMember(outage *Outage) (*harness.Member, harness.Disk, error) {
	candidates := slices.Clone(outage.Survivors)
	if outage.Fault != faults.NameWipe {
		candidates = append(candidates, outage.Victims...)
	}
	if len(candidates) > 0 {
		m, err := outage.cluster.Member(candidates[0])
		if err != nil {
			return nil, nil, err
		}
		return m, m.Disk(), nil
	}
	if d.aside == nil {
		return nil, nil, errors.New("observe fence: no old directory is left")
	}
	return d.aside.member, d.aside.disk, nil
}

func (d *Drill) dismiss(ctx context.Context, returned *harness.Member) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	_, err := returned.Kill(ctx)
	return errors.Join(err, d.saveLog(ctx, returned))
}

// look is what must stay the same on a new member while the old one is there. That a member does not answer is seen, too:
// an old one that takes over can end it.
type look struct {
	reading harness.Reading
	hash    uint32
	failure string
}

func (l look) String() string {
	if l.failure != "" {
		return "no answer (" + l.failure + ")"
	}
	return fmt.Sprintf("member %s of cluster %s at revision %d with HashKV %d",
		l.reading.Member, l.reading.Cluster, l.reading.Revision, l.hash)
}

func lookAtAll(ctx context.Context, reborn *Reborn) []look {
	looks := make([]look, 0, reborn.Size())
	for _, m := range reborn.Members() {
		seen, err := lookAt(ctx, m)
		if err != nil {
			seen.failure = err.Error()
		}
		looks = append(looks, seen)
	}
	return looks
}

func lookAt(ctx context.Context, m *harness.Member) (seen look, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	probe, err := m.Probe(ctx)
	if err != nil {
		return seen, err
	}
	defer probe.Close()
	if seen.reading, err = probe.Read(ctx, harness.Serializable); err != nil {
		return seen, err
	}
	seen.hash, _, err = probe.HashKV(ctx, 0)
	return seen, err
}

// watchOld waits until the old member's peer port answers, which proves that it lives, and then watches its client port. A
// cluster of one needs no peer: its old member leads itself, and is only asked who it is.
func (d *Drill) watchOld(ctx context.Context, returned *harness.Member, old *harness.Cluster, seen *verify.Fence) error {
	err := await.Until(ctx, await.Condition{Name: "old " + returned.Name() + " at its peer port", Within: d.opts.ReadyWithin},
		func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			answer, err := returned.AskAsPeer(ctx, old.ID(), returned.Version())
			seen.OldAnsweredAs = answer.As
			return err
		})
	if err != nil {
		return fmt.Errorf("observe fence: %w", err)
	}
	if seen.SizeOne {
		if err := returned.AwaitReady(ctx, old.ID(), d.opts.ReadyWithin); err != nil {
			return fmt.Errorf("observe fence: %w", err)
		}
	}
	probe, err := returned.Probe(ctx)
	if err != nil {
		return fmt.Errorf("observe fence: %w", err)
	}
	defer probe.Close()
	start := time.Now()
	return await.Until(ctx, await.Condition{Name: "the end of the fence's window", Within: 10 * fenceWindow},
		func(ctx context.Context) error {
			askOld(ctx, probe, seen)
			if seen.Observed = time.Since(start); seen.Observed < fenceWindow {
				return fmt.Errorf("%s so far", seen.Observed)
			}
			return nil
		})
}

// askOld notes whether the old member serves a client or knows a leader. That it does not answer is what is hoped for.
func askOld(ctx context.Context, probe *harness.Probe, seen *verify.Fence) {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if _, err := probe.Read(ctx, harness.Serializable); err == nil || errors.Is(err, harness.ErrForeignCluster) {
		seen.OldServed = true
	}
	if health, err := probe.Health(ctx); err == nil && health.Leader != 0 {
		seen.OldLed = true
	}
}

// askBoth sends the member a peer request under the old ID and, as a control, one under the new. A request that gets no
// answer leaves status 0, which the judge knows.
func (d *Drill) askBoth(ctx context.Context, m *harness.Member, old *harness.Cluster, reborn *Reborn) verify.FenceAnswer {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer := verify.FenceAnswer{Member: m.Name()}
	if toOld, err := m.AskAsPeer(ctx, old.ID(), m.Version()); err == nil {
		answer.ToOldID = toOld.Status
	}
	if toNew, err := m.AskAsPeer(ctx, reborn.ID(), m.Version()); err == nil {
		answer.ToNewID = toNew.Status
	}
	return answer
}
