package serve

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
)

// What etcdutl makes of one source for the members of one plan differs in their logs alone: in the database it writes all
// members, the same index and term, and no word of whose it is (etcdutl/snapshot/v3_snapshot.go, saveWALAndSnap and updateCIndex).
// So the first member gets a database that is made from the source, and the others, its twins, get a copy of that.

// makeTwins gives every twin the database of the first member.
func (r *rebuilding) makeTwins(ctx context.Context) error {
	start := time.Now()
	model := databaseOf(r.task.Members[0])
	info, err := os.Stat(model)
	if err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	for _, member := range r.task.Members[1:] {
		work.Go(func() error {
			err := os.Remove(databaseOf(member)) // which etcdutl made of the core
			if err == nil {
				err = blob.CopyFile(ctx, model, databaseOf(member))
			}
			if err != nil {
				return fmt.Errorf("make database of member %s: %w", member.Name, err)
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	r.laps.add(recovery.LapTwins, start, int64(len(r.task.Members)-1)*info.Size())
	return nil
}
