package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
	"github.com/etcd-drill/etcd-drill/internal/load"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// Watching is a group of clients that watch through the disaster, and what became of them: a plain watcher on every member,
// and on the first one an informer, which keeps what it is told of.
type Watching struct {
	drill   *Drill
	clients []*watching
	// Seen is filled by Prove.
	Seen []verify.Watch
}

type watching struct {
	member string
	caches bool
	*load.Bystander
}

func (w *watching) name() string {
	if w.caches {
		return "informer on " + w.member
	}
	return "watcher on " + w.member
}

// Watch starts to watch the cluster, in the way of programs that know nothing of disasters: see Watching. The clients go on
// until the drill is closed.
func (d *Drill) Watch(ctx context.Context, cluster *harness.Cluster) (*Watching, error) {
	w := &Watching{drill: d}
	d.mu.Lock()
	d.watchings = append(d.watchings, w)
	d.mu.Unlock()
	for i, m := range cluster.Members() {
		if err := w.add(ctx, m, false); err != nil {
			return nil, err
		}
		if i == 0 {
			if err := w.add(ctx, m, true); err != nil {
				return nil, err
			}
		}
	}
	return w, d.events.emit(EventWatching, "%d clients", len(w.clients))
}

// watchOn has clients go on with the restored cluster where those of a cluster that is gone had been told of changes up to this
// revision: a watcher on every member, and an informer on the first unless it would have too many keys to keep.
func (d *Drill) watchOn(ctx context.Context, cluster *harness.Cluster, last int64, informer bool) (*Watching, error) {
	w := &Watching{drill: d}
	d.mu.Lock()
	d.watchings = append(d.watchings, w)
	d.mu.Unlock()
	for i, m := range cluster.Members() {
		kinds := []bool{false}
		if i == 0 && informer {
			kinds = append(kinds, true)
		}
		for _, caches := range kinds {
			err := w.addAs(ctx, m, caches, func(client *clientv3.Client) (*load.Bystander, error) {
				return load.Resume(ctx, client, last, caches)
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return w, d.events.emit(EventWatching, "%d clients, from revision %d on", len(w.clients), last+1)
}

func (w *Watching) add(ctx context.Context, m *harness.Member, caches bool) error {
	return w.addAs(ctx, m, caches, func(client *clientv3.Client) (*load.Bystander, error) {
		return load.NewBystander(ctx, client, caches)
	})
}

func (w *Watching) addAs(
	ctx context.Context, m *harness.Member, caches bool, begin func(*clientv3.Client) (*load.Bystander, error),
) error {
	client, err := m.DialAny(ctx) // as most programs: whose answers they are it never asks
	if err != nil {
		return fmt.Errorf("watch %s: %w", m.Name(), err)
	}
	bystander, err := begin(client)
	if err != nil {
		return errors.Join(fmt.Errorf("watch %s: %w", m.Name(), err), client.Close())
	}
	w.clients = append(w.clients, &watching{member: m.Name(), caches: caches, Bystander: bystander})
	return nil
}

// close ends all clients. That a client was closed before is no error.
func (w *Watching) close() error {
	var failures []error
	for _, c := range w.clients {
		failures = append(failures, c.Close())
	}
	return errors.Join(failures...)
}

const (
	// watchWrites is how many changes are made beyond the last revision that a watching client had seen.
	watchWrites = 3
	// maxWatchWrites bounds how many are made until then.
	maxWatchWrites = 20_000
	// watchWithin bounds the wait for every client to be told of the last one, or to be cancelled.
	watchWithin = 30 * time.Second
)

// Prove writes to the new cluster until its revision is beyond all that the watching clients have seen, waits until each of
// them was cancelled or was told of the last write, and takes down what they were told of in between. It belongs between the
// first write and Verify: what it writes is above every revision at which members are read back.
func (w *Watching) Prove(ctx context.Context, reborn *Reborn) error {
	if err := w.prove(ctx, reborn); err != nil {
		return fmt.Errorf("prove what watching clients are told: %w", err)
	}
	cancelled := 0
	for _, seen := range w.Seen {
		if seen.Cancelled != 0 {
			cancelled++
		}
	}
	return w.drill.events.emit(EventWatched, "%d clients, %d cancelled", len(w.Seen), cancelled)
}

func (w *Watching) prove(ctx context.Context, reborn *Reborn) error {
	var last int64
	for _, c := range w.clients {
		m, err := reborn.Member(c.member)
		if err != nil {
			m = reborn.Members()[0] // of a cluster that has become smaller
		}
		endpoint, err := m.Endpoint(ctx)
		if err != nil {
			return err
		}
		c.Move(endpoint.Client)
		last = max(last, c.Shown().Last)
	}
	own, err := reborn.Members()[0].Dial(ctx)
	if err != nil {
		return err
	}
	defer own.Close() //nolint:errcheck // every call has been answered by then
	begin := reborn.Restored.Plan.Revision()
	until, err := writeBeyond(ctx, own, max(last, begin))
	if err != nil {
		return err
	}
	made, err := revisionsBetween(ctx, own, begin+1, until)
	if err != nil {
		return err
	}
	cover := w.drill.coverer()
	for _, c := range w.clients {
		seen := verify.Watch{Name: c.name(), Made: made, Until: until, Caches: c.caches}
		if err := c.awaitTold(ctx, until); err != nil {
			seen.Failure = err.Error()
		}
		if seen.Differences, seen.DifferingKeys, err = c.Differences(ctx, own); err != nil {
			return err
		}
		for i, key := range seen.DifferingKeys {
			seen.DifferingKeys[i] = cover(key)
		}
		c.testify(&seen, begin)
		w.Seen = append(w.Seen, seen)
	}
	return nil
}

// testify adds what the client has to show of the revisions after begin.
func (w *watching) testify(seen *verify.Watch, begin int64) {
	shown := w.Shown()
	seen.Last, seen.Cancelled, seen.Clusters = shown.Last, shown.Cancelled, shown.Clusters
	if shown.Failure != "" {
		seen.Failure = shown.Failure
	}
	heard := slices.Compact(slices.Clone(shown.Heard))
	heard = slices.DeleteFunc(heard, func(rev int64) bool { return rev <= begin || rev > seen.Until })
	if seen.Heard = int64(len(heard)); seen.Heard > 0 {
		seen.FirstHeard = heard[0]
	}
}

// awaitTold returns when the client has been told of this revision, or its watch has ended.
func (w *watching) awaitTold(ctx context.Context, until int64) error {
	return await.Until(ctx, await.Condition{
		Name: fmt.Sprintf("the %s to be told of revision %d, or cancelled", w.name(), until), Every: 10 * time.Millisecond, Within: watchWithin,
	}, func(context.Context) error {
		select {
		case <-w.Ended():
			return nil
		default:
		}
		if at := w.Shown().Resumed; at < until {
			return fmt.Errorf("it is at %d", at)
		}
		return nil
	})
}

// writeBeyond puts keys until the revision is some way above the given one, and returns where it is then.
func writeBeyond(ctx context.Context, client *clientv3.Client, revision int64) (until int64, err error) {
	for i := 0; until < revision+watchWrites; i++ {
		if i == maxWatchWrites {
			return until, fmt.Errorf("revision %d is more than %d writes away: write less after the backup", revision, maxWatchWrites)
		}
		resp, err := client.Put(ctx, fmt.Sprintf("etcd-drill/watched/%d", i), "")
		if err != nil {
			return until, err
		}
		until = resp.Header.Revision
	}
	return until, nil
}

// revisionsBetween counts the revisions that a watch shows from the first to the last of these.
func revisionsBetween(ctx context.Context, client *clientv3.Client, from, until int64) (count int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, watchWithin)
	defer cancel()
	var at int64
	for resp := range client.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(from)) {
		if err := resp.Err(); err != nil {
			return count, err
		}
		for _, event := range resp.Events {
			if event.Kv.ModRevision > at {
				at = event.Kv.ModRevision
				count++
			}
			if at >= until {
				return count, nil
			}
		}
	}
	return count, fmt.Errorf("a watch of its own ended at revision %d: %w", at, context.Cause(ctx))
}
