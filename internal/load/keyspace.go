package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// take is given the keys of a keyspace, in order, some at a time.
type take func(kvs []*mvccpb.KeyValue) error

// ahead is how many messages may have come before they are looked at.
const ahead = 1

// keyspace reads all keys. What comes next is on its way while keys are given to their receiver.
func (r *reading) keyspace(ctx context.Context) error {
	if r.spec.Keyspace == nil {
		return nil
	}
	work, ctx := errgroup.WithContext(ctx)
	came := make(chan []*mvccpb.KeyValue, ahead)
	work.Go(func() error {
		defer close(came)
		return r.fetch(ctx, func(kvs []*mvccpb.KeyValue) error {
			select {
			case came <- kvs:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	})
	work.Go(func() error {
		digests := newDigests(r.spec.DigestKey)
		for kvs := range came {
			if err := r.keep(kvs, digests.of(kvs)); err != nil {
				return err
			}
		}
		return nil
	})
	return work.Wait()
}

// fetch has the member stream its keys, which etcd can since 3.7, and turns pages where it cannot.
func (r *reading) fetch(ctx context.Context, take take) error {
	got := int64(0)
	counted := func(kvs []*mvccpb.KeyValue) error {
		got += int64(len(kvs))
		return take(kvs)
	}
	err := r.stream(ctx, counted)
	if status.Code(err) == codes.Unimplemented && got == 0 {
		err = r.turnPages(ctx, counted)
	}
	if err != nil {
		return fmt.Errorf("range after %d keys: %w", got, err) // a key may be a secret
	}
	return nil
}

// stream reads the keyspace in one call. Only the last message says who answered, and how many keys there are.
func (r *reading) stream(ctx context.Context, take take) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks, err := r.client.GetStream(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithSerializable(),
		clientv3.WithRev(r.spec.Revision))
	if err != nil {
		return err
	}
	defer func() { // the client's goroutine waits until somebody takes what it has received
		cancel()
		for range chunks {
		}
	}()
	got, last := int64(0), (*clientv3.GetResponse)(nil)
	for chunk := range chunks {
		if err := chunk.Err(); err != nil {
			return err
		}
		last = (*clientv3.GetResponse)(chunk.RangeResponse)
		got += int64(len(last.Kvs))
		if err := take(last.Kvs); err != nil {
			return err
		}
	}
	if last == nil || last.Header == nil || last.Count != got {
		return errors.New("the member ended its answer before all keys were sent")
	}
	return r.sameMember(last.Header)
}

// turnPages reads the keyspace page by page. The pages belong together because all are read at one revision.
func (r *reading) turnPages(ctx context.Context, take take) error {
	for p, more := newPages(), true; more; {
		from, end, limit := p.next()
		resp, err := r.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithSerializable(),
			clientv3.WithRev(r.spec.Revision), clientv3.WithLimit(limit))
		if err != nil {
			return err
		}
		if err := r.sameMember(resp.Header); err != nil {
			return err
		}
		if more, err = p.turn(resp); err != nil {
			return err
		}
		if err := take(resp.Kvs); err != nil {
			return err
		}
	}
	return nil
}

// keep gives keys to their receiver.
func (r *reading) keep(kvs []*mvccpb.KeyValue, digests []string) error {
	for i, kv := range kvs {
		pair := ledger.Pair{
			Key: ledger.Key(kv.Key), Digest: digests[i],
			Create: kv.CreateRevision, Mod: kv.ModRevision, Version: kv.Version, Lease: kv.Lease,
		}
		if err := r.spec.Keyspace(pair); err != nil {
			return fmt.Errorf("keep key number %d: %w", r.result.Keys+1, err)
		}
		r.result.Keys++
	}
	return nil
}

// digests computes those of many values side by side. They are most of what reading back computes, and the member has nothing left
// to do when the last keys have come.
type digests struct {
	makers []func([]byte) string
	made   []string
}

// digestsAtOnce is how many computations run side by side.
const digestsAtOnce = 2

func newDigests(key []byte) *digests {
	d := &digests{}
	for range digestsAtOnce {
		d.makers = append(d.makers, ledger.Digester(key))
	}
	return d
}

// of returns the digests of these keys' values, which are good until it is called again.
func (d *digests) of(kvs []*mvccpb.KeyValue) []string {
	d.made = slices.Grow(d.made[:0], len(kvs))[:len(kvs)]
	var work sync.WaitGroup
	for part, digest := range d.makers {
		from, to := part*len(kvs)/len(d.makers), (part+1)*len(kvs)/len(d.makers)
		work.Go(func() {
			for i := from; i < to; i++ {
				d.made[i] = digest(kvs[i].Value)
			}
		})
	}
	work.Wait()
	return d.made
}
