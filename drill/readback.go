package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/load"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// readAt says at which revision members are read back, and above which compaction point. Where the revision was bumped,
// source is the one that it was bumped from; 0 elsewhere.
type readAt struct{ revision, compacted, source int64 }

// readAtOf is where a plan lets members begin.
func readAtOf(plan recovery.Plan) readAt {
	at := readAt{revision: plan.Revision(), compacted: plan.Compacted()}
	if plan.BumpRevision > 0 {
		at.source = plan.Source.RestorePoint
	}
	return at
}

// gap is what a member must refuse: the last revision of the source, the last below the bump, and a watch that goes on where
// the source ends.
func (at readAt) gap() load.GapSpec {
	asked := load.GapSpec{Ranges: []int64{at.source}, Watch: min(at.source+1, at.revision-1)}
	if last := at.revision - 1; last > at.source {
		asked.Ranges = append(asked.Ranges, last)
	}
	return asked
}

// readBackWithin bounds the reading of all members.
const readBackWithin = 10 * time.Minute

func (d *Drill) readBack(ctx context.Context, cluster *harness.Cluster, at readAt) ([]verify.Member, error) {
	ctx, cancel := context.WithTimeout(ctx, readBackWithin)
	defer cancel()
	shown := make([]verify.Member, cluster.Size())
	work, workCtx := errgroup.WithContext(ctx)
	for i, m := range cluster.Members() {
		work.Go(func() (err error) {
			if shown[i], err = d.readMember(workCtx, m, at, d.extentOf(i)); err != nil {
				err = fmt.Errorf("read %s back: %w", m.Name(), err)
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return shown, err
	}
	return shown, settle(ctx, cluster, shown)
}

// settledWithin bounds the wait for members to be at one revision.
const settledWithin = 5 * time.Second

// settle replaces the revision that each member showed while it was read by the one at which it came to rest. A write whose
// caller has given it up can still be applied, and a lease can end, while one member was read and another is not yet. That
// members never meet is evidence, not an error.
func settle(ctx context.Context, cluster *harness.Cluster, shown []verify.Member) error {
	_ = await.Until(ctx, await.Condition{Name: "one revision", Every: 100 * time.Millisecond, Within: settledWithin},
		func(ctx context.Context) error {
			for i, m := range cluster.Members() {
				revision, err := appliedRevision(ctx, m)
				if err != nil {
					return err
				}
				shown[i].Revision = revision
			}
			for _, m := range shown {
				if m.Revision != shown[0].Revision {
					return fmt.Errorf("%s is at revision %d, %s at %d", m.Name, m.Revision, shown[0].Name, shown[0].Revision)
				}
			}
			return nil
		}) // who did not meet is in what was seen
	return ctx.Err()
}

// readMember reads one member back into the drill folder. A member that never reached the revision has nothing to show; that
// is evidence, not an error.
func (d *Drill) readMember(ctx context.Context, m *harness.Member, at readAt, extent verify.Extent) (verify.Member, error) {
	shown := verify.Member{Name: m.Name(), Extent: extent}
	client, err := m.DialAny(ctx) // whose answers they are is evidence, which the judge weighs
	if err != nil {
		return shown, err
	}
	defer client.Close() //nolint:errcheck // nothing is lost by closing
	spec := load.ReadSpec{Revision: at.revision, Compacted: at.compacted, DigestKey: d.opts.DigestKey}
	back, err := d.readInto(ctx, client, spec, shown)
	shown.ID, shown.ClusterID, shown.Revision = back.MemberID, back.ClusterID, back.Revision
	history, keyspace := d.folder.shows(m.Name())
	if errors.Is(err, load.ErrBehind) {
		return shown, errors.Join(removeIfThere(history), removeIfThere(keyspace))
	}
	if err == nil && back.Disordered {
		err = sortHistory(history, d.run.WorkDir())
	}
	shown.ReadAt, shown.HashKV = at.revision, back.HashKV
	if err == nil && at.source > 0 {
		shown.Gap, err = readGap(ctx, client, at.gap())
	}
	return shown, err
}

// readInto reads a member into as many files as its extent wants.
func (d *Drill) readInto(
	ctx context.Context, client *clientv3.Client, spec load.ReadSpec, shown verify.Member,
) (back load.Readback, err error) {
	history, keyspace := d.folder.shows(shown.Name)
	read := func() error {
		back, err = load.ReadBack(ctx, client, spec)
		return err
	}
	readKeys := func() error {
		return writeStream(keyspace, func(pair func(ledger.Pair) error) error {
			take, flush, err := d.coverPairs(pair)
			if err != nil {
				return err
			}
			spec.Keyspace = take
			return errors.Join(read(), flush())
		})
	}
	switch shown.Extent {
	case verify.HashOnly:
		return back, read()
	case verify.KeysOnly:
		return back, readKeys()
	}
	err = writeStream(history, func(record func(ledger.Record) error) error {
		spec.History = d.coverRecords(record)
		return readKeys()
	})
	return back, err
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func readGap(ctx context.Context, client *clientv3.Client, asked load.GapSpec) (*verify.Gap, error) {
	met, err := load.ReadGap(ctx, client, asked)
	return &verify.Gap{Asked: asked.Ranges, Answered: met.Answered, WatchFrom: asked.Watch, WatchCompacted: met.WatchCompacted}, err
}

// sortHistory puts a history into the order of the revisions that its records claim, and numbers the records of a revision
// anew, so that it can be held against a sound one record by record.
func sortHistory(path, spillDir string) (err error) {
	scratch, err := newSpill(spillDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, scratch.remove()) }()
	sorted, err := ledger.Sort(ledger.ReadRecords(opener(path)),
		func(a, b ledger.Record) int { return cmp.Compare(a.Rev, b.Rev) }, scratch.file)
	if err != nil {
		return err
	}
	again := path + ".sorted"
	err = writeStream(again, func(write func(ledger.Record) error) error {
		last := ledger.Record{Sub: -1}
		for record, err := range sorted {
			if err != nil {
				return err
			}
			if record.Sub = 0; record.Rev == last.Rev {
				record.Sub = last.Sub + 1
			}
			last = record
			if err := write(record); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, os.Rename(again, path))
}

// writeStream makes a file of evidence and hands produce the function that adds to it. Without an error of produce the
// stream is ended; after one it reads as unended.
func writeStream[T ledger.Record | ledger.Pair | ledger.Lease](path string, produce func(write func(T) error) error) error {
	file, err := create(path)
	if err != nil {
		return err
	}
	lines := ledger.NewLineWriter[T](file)
	if err = produce(lines.Append); err == nil {
		err = lines.End()
	}
	return errors.Join(err, file.Close())
}
