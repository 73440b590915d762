package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// askProgressEvery is the pause between two questions how far the watch has come.
const askProgressEvery = 50 * time.Millisecond

// history watches everything from the compaction point on, until all up to the revision has arrived.
//
// All has arrived when a progress notification names the revision or a later one: the server puts it behind the events into
// the same channel, and only if the watch has caught up (server/storage/mvcc/watchable_store.go, progressIfSync). It gives
// no answer otherwise, so the question is repeated. An event of a later revision proves less: a record that was tampered
// with can claim any revision.
func (r *reading) history(ctx context.Context) error {
	from := max(r.spec.Compacted+1, 1)
	if r.spec.History == nil || from > r.spec.Revision {
		return nil // nothing lies between, and a watch that begins in the future is not told of progress
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A watcher of its own has a stream of its own: progress is told only when every watch of the stream has caught up.
	watcher := clientv3.NewWatcher(r.client)
	defer func() { _ = watcher.Close() }() // it can only report how the stream ended, which follow already knows
	h := hearing{reading: r, watcher: watcher}
	// The client puts fragments together again, so that a revision always arrives as a whole.
	events := watcher.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(from), clientv3.WithFragment(),
		clientv3.WithCreatedNotify())
	if err := h.follow(ctx, events); err != nil {
		return fmt.Errorf("watch from revision %d: %w", from, err)
	}
	return nil
}

// hearing is a watch on its way through the history.
type hearing struct {
	*reading
	watcher clientv3.Watcher
	created bool  // progress that is asked for earlier could overtake events
	last    int64 // revision of the last record
	sub     int64 // of the next record of that revision
	reached int64 // the last progress that was told
}

func (h *hearing) follow(ctx context.Context, events clientv3.WatchChan) error {
	ticker := time.NewTicker(askProgressEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return h.incomplete(context.Cause(ctx))
		case resp, open := <-events:
			if !open {
				return h.incomplete(errors.Join(errors.New("the watch ended without a reason"), ctx.Err()))
			}
			if done, err := h.take(resp); done || err != nil {
				return err
			}
		case <-ticker.C:
			if !h.created {
				continue
			}
			if err := h.watcher.RequestProgress(ctx); err != nil {
				return h.incomplete(fmt.Errorf("ask for progress: %w", err))
			}
		}
	}
}

// take keeps what a response brings. It reports whether all up to the revision has arrived.
func (h *hearing) take(resp clientv3.WatchResponse) (bool, error) {
	if err := resp.Err(); err != nil {
		if resp.CompactRevision != 0 {
			return false, fmt.Errorf("the member has compacted up to revision %d: %w", resp.CompactRevision, err)
		}
		return false, h.incomplete(err)
	}
	if err := h.sameMember(resp.Header); err != nil {
		return false, err
	}
	if resp.Created {
		h.created = true
		return false, nil
	}
	for _, event := range resp.Events {
		if event.Kv.ModRevision > h.spec.Revision {
			continue
		}
		if err := h.keep(event); err != nil {
			return false, err
		}
	}
	if resp.IsProgressNotify() {
		h.reached = resp.Header.GetRevision()
	}
	return h.reached >= h.spec.Revision, nil
}

func (h *hearing) keep(event *clientv3.Event) error {
	kv := event.Kv
	h.result.Disordered = h.result.Disordered || kv.ModRevision < h.last
	if kv.ModRevision != h.last {
		h.last, h.sub = kv.ModRevision, 0
	}
	record := ledger.Record{Rev: kv.ModRevision, Sub: h.sub, Key: ledger.Key(kv.Key), Delete: event.Type == mvccpb.Event_DELETE}
	if !record.Delete {
		record.Digest = ledger.Digest(h.spec.DigestKey, kv.Value)
		record.Create, record.Mod = kv.CreateRevision, kv.ModRevision
		record.Version, record.Lease = kv.Version, kv.Lease
	}
	if err := h.spec.History(record); err != nil {
		return fmt.Errorf("keep record %d/%d: %w", record.Rev, record.Sub, err)
	}
	h.sub++
	h.result.Records++
	return nil
}

// incomplete tells how far the watch came.
func (h *hearing) incomplete(cause error) error {
	return fmt.Errorf("%w; %d records came, the last of revision %d, and progress was told up to %d",
		cause, h.result.Records, h.last, h.reached)
}
