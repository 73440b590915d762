package drill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/bench"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/dataset"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// trial is one measurement: a recovery in a folder of its own, of which nothing is left but the figures.
type trial struct {
	*Drill
	config   bench.Config
	set      dataset.Set
	followed recovery.Plan
	reborn   *Reborn
	fetchCPU time.Duration

	mu      sync.Mutex
	efforts []recovery.Effort
}

// measure makes one measurement. An error is one of the benchmark; what goes wrong with the recovery is in the sample.
func (b *benching) measure(ctx context.Context, config bench.Config, round int) (bench.Sample, error) {
	set, err := b.set(ctx, config)
	if err != nil {
		return bench.Sample{}, err
	}
	sample := bench.Sample{Config: config, Round: round, SourceBytes: set.SizeBytes, SourceSHA256: set.SHA256}
	folder := filepath.Join(b.run.Places[config.Disk], "etcd-drill-bench-"+harness.NewRunID())
	t := &trial{config: config, set: set}
	failure := t.do(ctx, b, folder, &sample)
	failure = errors.Join(failure, t.Close(ctx)) // nil may be closed
	sample.Pace = (sample.Pace + pace()) / 2     // the members have ended: what slows it down now is somebody else
	if errors.Is(failure, errOtherSet) {
		delete(b.sets, b.setKey(config)) // it is looked at again, and made again, before the next measurement
	}
	if ctx.Err() != nil {
		return bench.Sample{}, errors.Join(context.Cause(ctx), os.RemoveAll(folder))
	}
	if failure != nil {
		sample.Failure = fmt.Sprintf("%v; its events and logs are in %s", failure, folder)
		return sample, nil
	}
	return sample, os.RemoveAll(folder)
}

// do recovers and fills the sample.
func (t *trial) do(ctx context.Context, b *benching, folder string, sample *bench.Sample) (err error) {
	if err := t.open(ctx, b, folder); err != nil {
		return err
	}
	work := t.Drill
	if BenchRoute(t.config.Route) == BenchForce {
		if work, err = t.lose(ctx); err != nil {
			return err
		}
	}
	if err := t.settlePageCache(b); err != nil {
		return err
	}
	sample.Pace, sample.At = pace(), time.Now()
	if t.reborn, err = t.recover(ctx, work); err != nil {
		return err
	}
	sample.Phases, sample.Total, err = t.phases(ctx, work)
	return err
}

// open opens a drill of nothing but a recovery.
func (t *trial) open(ctx context.Context, b *benching, folder string) (err error) {
	opts := b.opts.Options
	opts.Runtime, opts.Folder, opts.RunID, opts.Keep = b.runtimes[t.config.Runtime], folder, harness.NewRunID(), KeepNone
	opts.Worker.Spent, opts.Worker.Scratch = t.note, ""
	opts.EtcdArgs = append(opts.EtcdArgs, quotaFlag(recovery.Source{SizeBytes: t.set.SizeBytes}))
	opts.ReadyWithin = 90*time.Second + time.Duration(t.set.SizeBytes>>30)*30*time.Second
	t.Drill, err = Open(ctx, Spec{
		Members: t.config.Members, EtcdVersion: t.config.Etcd, RestoreVersion: t.config.Etcd,
		Own: &Own{File: t.set.Path, AnyVersion: true},
	}, opts)
	if err != nil {
		return err
	}
	if BenchRoute(t.config.Route) == BenchOneByOne {
		t.how = []offline.RestoreOption{offline.OneByOne()}
	}
	return t.settle(ctx)
}

func (t *trial) note(effort recovery.Effort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.efforts = append(t.efforts, effort)
}

// settlePageCache sees to it that every measurement begins alike: with nothing still to be written, and the source in memory, or not.
func (t *trial) settlePageCache(b *benching) error {
	if err := settleDisk(b.run.Places[t.config.Disk]); err != nil {
		return fmt.Errorf("wait for disk: %w", err)
	}
	if t.config.PageCache == bench.Cold {
		if err := settleDisk(filepath.Dir(t.set.Path)); err != nil {
			return fmt.Errorf("wait for disk: %w", err)
		}
		return chill(t.set.Path)
	}
	return warm(t.set.Path)
}

// recover takes the route.
func (t *trial) recover(ctx context.Context, work *Drill) (reborn *Reborn, err error) {
	if BenchRoute(t.config.Route) == BenchForce {
		old := t.clusters[0]
		if t.followed, err = work.PlanForce(&Down{Cluster: old}, old.Members()[0].Name()); err != nil {
			return nil, err
		}
		return work.Follow(ctx, t.followed, old)
	}
	source, err := t.fetch(ctx)
	if err != nil {
		return nil, err
	}
	if t.followed, err = t.plan(source); err != nil {
		return nil, err
	}
	return work.Follow(ctx, t.followed, nil)
}

// fetch copies the data set to the disk that is measured, as somebody fetches a backup from a store, and checks it.
func (t *trial) fetch(ctx context.Context) (recovery.Source, error) {
	if err := t.events.emit(EventSaving, "data set"); err != nil {
		return recovery.Source{}, err
	}
	if err := t.makeBackupFolder(); err != nil {
		return recovery.Source{}, err
	}
	before := ownCPU()
	if err := copySet(t.set.Path, t.folder.backup()); err != nil {
		return recovery.Source{}, fmt.Errorf("fetch data set: %w", err)
	}
	t.fetchCPU = ownCPU() - before
	source, err := t.check(ctx, t.kind(), "")
	if err != nil {
		return recovery.Source{}, t.explain(err)
	}
	return source, t.same(source)
}

// errOtherSet means that what was restored from is not the data set that was to be measured.
var errOtherSet = errors.New("the data set has changed in the cache while it was measured; it will be made again")

// same refuses a source that is not the data set: what it takes is not what was asked for.
func (t *trial) same(source recovery.Source) error {
	if source.SHA256 != t.set.SHA256 {
		return fmt.Errorf("%w: its SHA-256 is %s, should be %s", errOtherSet, source.SHA256, t.set.SHA256)
	}
	return nil
}

// explain says of a source that was proved bad that it is the data set that has changed: it was sound when it was made.
func (t *trial) explain(err error) error {
	if recovery.ProvedBad(err) {
		return fmt.Errorf("%w: %w", errOtherSet, err)
	}
	return err
}

func (t *trial) kind() recovery.Kind {
	if t.set.Form == dataset.Database {
		return recovery.DBCopy
	}
	return recovery.SavedSnapshot
}

func copySet(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	out, err := create(to)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close(), in.Close())
}

func (t *trial) plan(source recovery.Source) (recovery.Plan, error) {
	layout, err := harness.NewLayout(t.places(), t.config.Members, "")
	if err != nil {
		return recovery.Plan{}, err
	}
	opts, err := restoreOptions(t.spec, t.places(), t.versions.restoring.Version)
	if err != nil {
		return recovery.Plan{}, err
	}
	opts = append(opts, recovery.WithSeats(layout.Seats...))
	newPlan := recovery.NewPlan
	if BenchRoute(t.config.Route) == BenchSeed {
		newPlan = recovery.NewSeedPlan
	}
	return t.planned(newPlan(source, harness.Layout{}, identity.FreshToken(), opts...))
}

// lose makes a cluster of the data set and kills it: what a survivor goes on from. The recovery from it has a log of its own.
func (t *trial) lose(ctx context.Context) (*Drill, error) {
	source, err := offline.Check(ctx, t.opts.Worker, t.kind(), t.set.Path)
	if err == nil {
		err = t.same(source)
	}
	if err != nil {
		return nil, t.explain(err)
	}
	plan, err := t.plan(source)
	if err != nil {
		return nil, err
	}
	reborn, err := t.Restore(ctx, plan)
	if err != nil {
		return nil, fmt.Errorf("make cluster to lose: %w", err)
	}
	for _, m := range reborn.Members() {
		if _, err := m.Kill(ctx); err != nil {
			return nil, fmt.Errorf("lose cluster: %w", err)
		}
	}
	work, err := t.newBranch("back", recovery.RouteForce)
	if err != nil {
		return nil, err
	}
	t.efforts = nil
	return work.Drill, nil
}
