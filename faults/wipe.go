package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/etcd-drill/etcd-drill/harness"
)

// NameWipe is the name of the fault that kills and destroys data.
const NameWipe = "wipe"

// Wipe kills the victims and destroys their data directories: machines lost for good.
func Wipe(target Target) Fault { return New(wiping{}, target) }

type wiping struct{}

func (wiping) Name() string { return NameWipe }

func (wiping) Hit(ctx context.Context, v Victim) error { return v.Signal(ctx, harness.Kill) }

func (wiping) Took(ctx context.Context, v Victim) error {
	if _, err := v.Wait(ctx); err != nil {
		return err
	}
	if v.BeforeErase != nil {
		if err := v.BeforeErase(ctx, v.Member); err != nil {
			return fmt.Errorf("wipe %s: %w", v.Name(), err)
		}
	}
	if err := v.Disk().Erase(ctx); err != nil {
		return fmt.Errorf("wipe %s: %w", v.Name(), err)
	}
	err := v.Disk().Fetch(ctx, "member/snap/db", io.Discard)
	if !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("wipe %s: the database is still there after the erasure", v.Name()), err)
	}
	return nil
}

func (wiping) Heal(context.Context, Victim) error {
	return fmt.Errorf("%w: the data directory was destroyed; restore the cluster", ErrIrreversible)
}
