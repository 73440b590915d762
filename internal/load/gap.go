package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// GapSpec names revisions that a member must refuse, because they were taken away by a compaction.
type GapSpec struct {
	Ranges []int64 // of serializable ranges
	Watch  int64   // where a watch begins
}

// Gap tells how a member met what a GapSpec asks.
type Gap struct {
	Answered []int64 // ranges that were not refused
	// WatchCompacted is the compaction point with which the watch was cancelled; 0 if it was let in.
	WatchCompacted int64
}

// ReadGap asks one member for revisions that it must refuse. Only etcd's own "compacted" counts as a refusal; every other
// error is returned. It asks no other member.
func ReadGap(ctx context.Context, client *clientv3.Client, spec GapSpec) (Gap, error) {
	var gap Gap
	for _, rev := range spec.Ranges {
		_, err := client.Get(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithSerializable(), clientv3.WithRev(rev), clientv3.WithCountOnly())
		switch {
		case err == nil:
			gap.Answered = append(gap.Answered, rev)
		case !errors.Is(err, rpctypes.ErrCompacted):
			return gap, fmt.Errorf("read at compacted revision %d: %w", rev, err)
		}
	}
	var err error
	if gap.WatchCompacted, err = watchRefusal(ctx, client, spec.Watch); err != nil {
		return gap, fmt.Errorf("watch from compacted revision %d: %w", spec.Watch, err)
	}
	return gap, nil
}

// watchRefusal returns the compaction point with which a watch is cancelled, or 0 when it shows anything or has caught up.
func watchRefusal(ctx context.Context, client *clientv3.Client, from int64) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watcher := clientv3.NewWatcher(client)
	defer func() { _ = watcher.Close() }() // the answer has come by then
	events := watcher.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(from), clientv3.WithCreatedNotify())
	ticker := time.NewTicker(askProgressEvery)
	defer ticker.Stop()
	created := false
	for {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case resp, open := <-events:
			switch {
			case !open:
				return 0, errors.Join(errors.New("it ended without a reason"), ctx.Err())
			case resp.CompactRevision != 0:
				return resp.CompactRevision, nil
			case resp.Err() != nil:
				return 0, resp.Err()
			case resp.IsProgressNotify() || len(resp.Events) > 0:
				return 0, nil
			}
			created = created || resp.Created
		case <-ticker.C:
			if !created {
				continue
			}
			if err := watcher.RequestProgress(ctx); err != nil {
				return 0, fmt.Errorf("ask for progress: %w", err)
			}
		}
	}
}
