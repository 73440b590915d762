package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// What etcdutl makes of one source for the members of one plan differs in their logs alone: in the database it writes all
// members, the same index and term, and no word of whose it is (etcdutl/snapshot/v3_snapshot.go, saveWALAndSnap and updateCIndex).
// So the first member gets a database that is made from the source, and the others, its twins, get the same, byte by byte.

// prepareTwins has copies of the source ready that will become the databases of all members but the first. It is done while the
// private copy is made and etcdutl is at work. Nothing rests on these copies being of the right source: finishTwins compares
// every byte.
func (r *rebuilding) prepareTwins(ctx context.Context) error {
	for _, member := range r.task.Members[1:] {
		cloned, err := blob.CopyFile(ctx, r.task.Source.Path, spareOf(member))
		if err == nil && cloned { // then the database of the first can be cloned, too
			err = os.Remove(spareOf(member))
		}
		if err != nil {
			return fmt.Errorf("copy source for member %s: %w", member.Name, err)
		}
	}
	return nil
}

// spareOf is where a twin's future database lies, beside its data directory.
func spareOf(member wire.MemberTask) string {
	return filepath.Join(filepath.Dir(member.DataDir), "spare")
}

// finishTwins gives every twin the database of the first member.
func (r *rebuilding) finishTwins(ctx context.Context) error {
	twins := r.task.Members[1:]
	if len(twins) == 0 {
		return nil
	}
	start := time.Now()
	model := databaseOf(r.task.Members[0])
	work, ctx := errgroup.WithContext(ctx)
	sizes := make([]int64, len(twins))
	for i, member := range twins {
		work.Go(func() (err error) {
			if sizes[i], err = becomeTwin(ctx, spareOf(member), model); err == nil {
				err = os.Rename(spareOf(member), databaseOf(member))
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
	var written int64
	for _, size := range sizes {
		written += size
	}
	r.laps.add(recovery.LapTwins, start, written)
	return nil
}

// becomeTwin makes a file, which may be there already and be much the same, equal to the model, byte by byte, and puts it on
// disk. It returns the size.
func becomeTwin(ctx context.Context, path, model string) (size int64, err error) {
	from, err := os.Open(model)
	if err != nil {
		return 0, err
	}
	defer func() { _ = from.Close() }() // read only
	to, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	info, err := from.Stat()
	if err != nil {
		return 0, err
	}
	if !blob.Clone(to, from) {
		if err := overwrite(ctx, to, from, info.Size()); err != nil {
			return 0, err
		}
	}
	return info.Size(), errors.Join(to.Truncate(info.Size()), to.Sync())
}

// compareBytes is how much is compared at a time: little enough to stay in the processor's cache.
const compareBytes = 128 << 10

// overwrite reads both files to the end and writes what differs. That all is compared costs little beside a copy, and leaves
// nothing to be believed.
func overwrite(ctx context.Context, to, from *os.File, size int64) error {
	want, is := make([]byte, compareBytes), make([]byte, compareBytes)
	for at := int64(0); at < size; at += compareBytes {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := from.ReadAt(want[:min(compareBytes, size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		m, err := to.ReadAt(is[:n], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		clear(is[m:n]) // what is behind the end will read as zeros
		if !bytes.Equal(want[:n], is[:n]) {
			if _, err := to.WriteAt(want[:n], at); err != nil {
				return err
			}
		}
	}
	return nil
}
