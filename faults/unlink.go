package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// NameUnlink is the name of the fault that deletes data under a member that goes on running.
const NameUnlink = "unlink"

// Unlink deletes the data directories of the victims under their running processes, which keep the files that they have open
// and go on serving: nothing shows until one of them ends. It is injected on its own, costs no quorum, and is none of the
// faults that Parse knows. Where the runtime cannot do it, Inject fails with an error wrapping harness.ErrUnsupported.
func Unlink(target Target) Fault { return New(unlinking{}, target) }

type unlinking struct{}

func (unlinking) Name() string { return NameUnlink }

func (unlinking) Hit(ctx context.Context, v Victim) error {
	disk, able := v.Disk().(harness.Unlinker)
	if !able {
		return fmt.Errorf("unlink %s: %w", v.Name(),
			harness.Unsupported("this runtime cannot delete a data directory while a member runs on it"))
	}
	return disk.Unlink(ctx)
}

// servesWithin is how long a member may take to answer after it lost its directory.
const servesWithin = 10 * time.Second

// Took returns when the database is gone from the directory and the member still serves.
func (unlinking) Took(ctx context.Context, v Victim) error {
	err := v.Disk().Fetch(ctx, "member/snap/db", io.Discard)
	if !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("unlink %s: the database is still there", v.Name()), err)
	}
	probe, err := v.Probe(ctx)
	if err != nil {
		return err
	}
	defer probe.Close()
	return await.Until(ctx, await.Condition{Name: v.Name() + " serving without its directory", Within: servesWithin},
		func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, readWithin)
			defer cancel()
			_, err := probe.Read(ctx, harness.Serializable)
			return err
		})
}

func (unlinking) Heal(context.Context, Victim) error {
	return fmt.Errorf("%w: the data directory was deleted; save a snapshot of the running member and restore", ErrIrreversible)
}
