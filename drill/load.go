package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/load"
)

// Load is the drill's load while it runs: concurrent writers, and the ledger in which they write down every write.
type Load struct {
	drill   *Drill
	running *load.Load
	ledger  *ledger.Writer
	file    *os.File
	once    sync.Once
	began   time.Time
	stopped atomic.Bool
	book    Book
	err     error
}

// Book is a ledger that was closed: what the load asked for and what came of it, in ledger.jsonl of the drill folder.
type Book struct {
	Path  string
	Tally load.Tally
}

// drainGrace is how long calls in flight may still return when the load is stopped. It is part of the recovery time, and a
// cluster without quorum answers none of them.
const drainGrace = 20 * time.Millisecond

// StartLoad starts writing to the cluster and returns at once. The load goes on until it is stopped, through whatever
// happens to the cluster.
func (d *Drill) StartLoad(ctx context.Context, cluster *harness.Cluster, profile load.Profile) (*Load, error) {
	file, err := create(d.folder.ledger())
	if err != nil {
		return nil, fmt.Errorf("start load: %w", err)
	}
	targets := make([]load.Target, 0, cluster.Size())
	for _, m := range cluster.Members() {
		targets = append(targets, m)
	}
	writer := ledger.NewWriter(file)
	running, err := load.Start(ctx, load.Options{
		Targets: targets, Access: cluster.Access(), Profile: profile, Keys: d.spec.Keys, ValueBytes: d.spec.ValueBytes,
		Workers: d.spec.Workers, LeaseTTL: d.spec.LeaseTTL, Seed: d.spec.Seed,
		DigestKey: d.opts.DigestKey, Ledger: writer, DrainGrace: drainGrace,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start load: %w", err), file.Close())
	}
	l := &Load{drill: d, running: running, ledger: writer, file: file, began: time.Now()}
	d.mu.Lock()
	d.loads = append(d.loads, l)
	d.mu.Unlock()
	if d.opts.Watch != nil {
		d.opts.Watch(l.live)
	}
	return l, d.events.emit(EventLoading, "%d workers", d.spec.Workers)
}

// flushedWithin is how long a load runs at least before anybody is struck. Members write to their databases every 100 ms
// (--backend-batch-interval); of one that dies before the first time, a copy of its database holds nothing and proves nothing.
const flushedWithin = 500 * time.Millisecond

// AwaitFilled returns when as many writes were acknowledged as the spec has keys, and the load has run for half a second.
func (l *Load) AwaitFilled(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("await %d acknowledged writes: %w; %d so far", l.drill.spec.Keys, context.Cause(ctx), l.Tally().Acknowledged)
	case <-l.running.Filled():
	}
	if err := l.sync(); err != nil {
		return err
	}
	if err := l.drill.events.emit(EventFilled, "%d acknowledged", l.Tally().Acknowledged); err != nil {
		return err
	}
	rest := time.NewTimer(flushedWithin - time.Since(l.began))
	defer rest.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("await a load of %s: %w", flushedWithin, context.Cause(ctx))
	case <-rest.C:
		return nil
	}
}

// sync puts on disk what the ledger holds so far. It is called where a phase ends: what comes after may end the machine.
func (l *Load) sync() error {
	if l.stopped.Load() {
		return nil // Stop has done it
	}
	if err := errors.Join(l.ledger.Flush(), l.file.Sync()); err != nil {
		return fmt.Errorf("keep ledger: %w", err)
	}
	return nil
}

// AwaitMore returns when n more writes were acknowledged than when it was called.
func (l *Load) AwaitMore(ctx context.Context, n int64) error {
	start := l.Tally().Acknowledged
	return await.Until(ctx, await.Condition{
		Name: fmt.Sprintf("%d more acknowledged writes", n), Every: 5 * time.Millisecond, Within: 30 * time.Second,
	}, func(context.Context) error {
		if got := l.Tally().Acknowledged - start; got < n {
			return fmt.Errorf("%d so far", got)
		}
		return nil
	})
}

// Tally counts the writes so far, by outcome.
func (l *Load) Tally() load.Tally { return l.running.Tally() }

func (l *Load) live() string {
	t := l.Tally()
	return fmt.Sprintf("%d acknowledged, %d unknown", t.Acknowledged, t.Unknown)
}

// Stop ends the load and closes the ledger: calls in flight are given up and written down as unknown, and the file is on
// disk when Stop returns. It is idempotent.
func (l *Load) Stop(ctx context.Context) (Book, error) {
	l.once.Do(func() {
		l.stopped.Store(true)
		tally, err := l.running.Stop(ctx)
		l.book = Book{Path: l.file.Name(), Tally: tally}
		l.err = errors.Join(err, l.file.Sync(), l.file.Close())
		if l.drill.opts.Watch != nil {
			l.drill.opts.Watch(nil)
		}
		if l.err != nil {
			l.err = fmt.Errorf("stop load: %w", l.err)
			return
		}
		l.err = l.drill.events.emit(EventLoadStopped, "%d acknowledged, %d unknown, %d refused",
			tally.Acknowledged, tally.Unknown, tally.Refused)
	})
	return l.book, l.err
}
