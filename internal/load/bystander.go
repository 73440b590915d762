package load

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/await"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Bystander is a client as most programs are: it watches every key, goes on by itself at the same address after its server
// was away, and looks at no cluster ID. It only notes what it is told, and by whom. With a cache it is like a Kubernetes
// informer: it lists all keys, watches from there, and lists again when its watch is cancelled because its revision is
// compacted.
//
// It holds, beside its cache, every revision that another cluster than the first tells it of, so it is meant for small drills.
type Bystander struct {
	client *clientv3.Client
	home   identity.ClusterID
	cancel context.CancelFunc
	ended  chan struct{}
	// resumed is set if it never knew a first cluster, but only up to where it had followed one.
	resumed bool

	mu    sync.Mutex
	shown Shown
	cache map[ledger.Key]cached // nil without one
}

// Shown is what a Bystander has to show.
type Shown struct {
	// Last is the revision up to which it follows the first cluster; Resumed up to which it follows whoever answers.
	Last, Resumed int64
	// Heard are the revisions of the changes that it was told of by others than the first cluster, in the order in which they
	// came.
	Heard []int64
	// Clusters are those that answered, in the order in which they did.
	Clusters []identity.ClusterID
	// Cancelled is the compaction revision with which its watch was cancelled, 0 if it was not; Listed counts how often it
	// listed all keys. Without a cache it ends when it is cancelled.
	Cancelled int64
	Listed    int
	// Failure is every other end of its watch; empty for none.
	Failure string
}

// cached is what a cache remembers of a key.
type cached struct {
	mod    int64
	digest string
}

// NewBystander starts to watch from the revision after the one that its server is at, and returns when it does. With
// caching set it has listed all keys before. The client must have no expectations of its own (harness.AnyCluster); it is
// closed with the Bystander.
func NewBystander(ctx context.Context, client *clientv3.Client, caching bool) (*Bystander, error) {
	b := &Bystander{client: client, ended: make(chan struct{})}
	if caching {
		b.cache = map[ledger.Key]cached{}
	}
	if err := b.list(ctx); err != nil {
		return nil, fmt.Errorf("begin to watch: %w", err)
	}
	b.home = b.shown.Clusters[0]
	return b, b.begin(ctx)
}

// Resume starts a Bystander that comes from a cluster which is gone, where it had followed all changes up to the revision. A cache
// of its has nothing of what it held there, so it can only tell what becomes of it when it lists anew.
func Resume(ctx context.Context, client *clientv3.Client, last int64, caching bool) (*Bystander, error) {
	b := &Bystander{client: client, ended: make(chan struct{}), resumed: true}
	if caching {
		b.cache = map[ledger.Key]cached{}
	}
	b.shown.Last, b.shown.Resumed = last, last
	return b, b.begin(ctx)
}

// begin starts to watch.
func (b *Bystander) begin(ctx context.Context) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b.cancel = cancel
	events := b.watch(running)
	select { // the server says at once that the watch is there
	case resp := <-events:
		if err := resp.Err(); err != nil {
			cancel()
			return fmt.Errorf("begin to watch: %w", err)
		}
	case <-ctx.Done():
		cancel()
		return fmt.Errorf("begin to watch: %w", context.Cause(ctx))
	}
	go b.run(running, events)
	return nil
}

// Close ends the watch and the client.
func (b *Bystander) Close() error {
	b.cancel()
	<-b.ended
	return b.client.Close()
}

// Move says at which address its server is to be found from now on: what a name resolves to, or the same as before.
func (b *Bystander) Move(clientURL string) { b.client.SetEndpoints(clientURL) }

// Shown returns what there is to show now.
func (b *Bystander) Shown() Shown {
	b.mu.Lock()
	defer b.mu.Unlock()
	shown := b.shown
	shown.Heard, shown.Clusters = slices.Clone(shown.Heard), slices.Clone(shown.Clusters)
	return shown
}

// Ended is closed when the watch has ended for good.
func (b *Bystander) Ended() <-chan struct{} { return b.ended }

func (b *Bystander) watch(ctx context.Context) clientv3.WatchChan {
	b.mu.Lock()
	from := b.shown.Resumed + 1
	b.mu.Unlock()
	return b.client.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(from), clientv3.WithCreatedNotify())
}

// run follows the watch until it ends; a cache begins anew where the watch was cancelled for its revision.
func (b *Bystander) run(ctx context.Context, events clientv3.WatchChan) {
	defer close(b.ended)
	for {
		again := b.follow(events)
		if !again || b.cache == nil || !b.listAgain(ctx) {
			return
		}
		events = b.watch(ctx)
	}
}

// follow takes all that comes. It tells whether the watch was cancelled as compacted.
func (b *Bystander) follow(events clientv3.WatchChan) (compacted bool) {
	for resp := range events {
		b.mu.Lock()
		err := resp.Err()
		switch {
		case err == nil:
			b.take(resp)
		case resp.CompactRevision != 0:
			b.shown.Cancelled, compacted = resp.CompactRevision, true
		default:
			b.shown.Failure = err.Error()
		}
		b.mu.Unlock()
	}
	return compacted
}

// take notes a response of the watch, under the lock.
func (b *Bystander) take(resp clientv3.WatchResponse) {
	cluster := identity.ClusterID(resp.Header.GetClusterId())
	b.meet(cluster)
	for _, event := range resp.Events {
		rev := event.Kv.ModRevision
		b.shown.Resumed = max(b.shown.Resumed, rev)
		if cluster == b.home {
			b.shown.Last = max(b.shown.Last, rev)
		} else {
			b.shown.Heard = append(b.shown.Heard, rev)
		}
		if b.cache == nil {
			continue
		}
		if event.Type == mvccpb.Event_DELETE {
			delete(b.cache, ledger.Key(event.Kv.Key))
		} else {
			b.cache[ledger.Key(event.Kv.Key)] = remember(event.Kv)
		}
	}
}

func (b *Bystander) meet(cluster identity.ClusterID) {
	if n := len(b.shown.Clusters); n == 0 || b.shown.Clusters[n-1] != cluster {
		b.shown.Clusters = append(b.shown.Clusters, cluster)
	}
}

// remember keeps the value's digest under a key that nobody needs to know: it is only held against its like.
func remember(kv *mvccpb.KeyValue) cached {
	return cached{mod: kv.ModRevision, digest: ledger.Digest([]byte("cache"), kv.Value)}
}

// listAgain begins the cache anew. It tells whether that went well before the context ended.
func (b *Bystander) listAgain(ctx context.Context) bool {
	return await.Until(ctx, await.Condition{Name: "a list of all keys"}, b.list) == nil
}

// list reads where the server is, and with a cache all keys there.
func (b *Bystander) list(ctx context.Context) error {
	fresh := map[ledger.Key]cached{}
	at, cluster, err := eachKey(ctx, b.client, b.cache != nil, func(kv *mvccpb.KeyValue) { fresh[ledger.Key(kv.Key)] = remember(kv) })
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.meet(cluster)
	b.shown.Listed++
	b.shown.Resumed = at
	if b.shown.Listed == 1 && !b.resumed {
		b.shown.Last = at
	}
	if b.cache != nil {
		b.cache = fresh
	}
	return nil
}

// pageKeys is how many keys one range asks for.
const pageKeys = 1000

// eachKey visits all keys at the revision at which the server is, which it returns; where only that is wanted it visits none.
func eachKey(
	ctx context.Context, client *clientv3.Client, visitAll bool, visit func(*mvccpb.KeyValue),
) (at int64, cluster identity.ClusterID, err error) {
	resp, err := client.Get(ctx, "\x00", clientv3.WithCountOnly())
	if err != nil {
		return 0, 0, err
	}
	at, cluster = resp.Header.GetRevision(), identity.ClusterID(resp.Header.GetClusterId())
	for from := "\x00"; visitAll; from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00" {
		resp, err = client.Get(ctx, from, clientv3.WithFromKey(), clientv3.WithRev(at), clientv3.WithLimit(pageKeys))
		if err != nil {
			return 0, 0, err
		}
		for _, kv := range resp.Kvs {
			visit(kv)
		}
		if !resp.More || len(resp.Kvs) == 0 {
			break
		}
	}
	return at, cluster, nil
}

// Differences tells in how many keys the cache differs from what the server of this client holds now: keys of either side that
// the other does not have, or has otherwise. The first few of them are named, sorted. Without a cache there is none.
func (b *Bystander) Differences(ctx context.Context, client *clientv3.Client) (count int64, some []ledger.Key, err error) {
	if b.cache == nil {
		return 0, nil, nil
	}
	store := map[ledger.Key]cached{}
	if _, _, err := eachKey(ctx, client, true, func(kv *mvccpb.KeyValue) { store[ledger.Key(kv.Key)] = remember(kv) }); err != nil {
		return 0, nil, fmt.Errorf("compare cache: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var differ []ledger.Key
	for key, held := range b.cache {
		if store[key] != held {
			differ = append(differ, key)
		}
		delete(store, key)
	}
	for key := range store {
		differ = append(differ, key)
	}
	slices.Sort(differ)
	return int64(len(differ)), differ[:min(len(differ), maxNamed)], nil
}

// maxNamed bounds how many keys are named where only their number matters.
const maxNamed = 5
