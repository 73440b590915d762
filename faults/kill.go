package faults

import (
	"context"

	"github.com/etcd-drill/etcd-drill/harness"
)

// Kill ends the victims with SIGKILL and keeps their data. What they had acknowledged but not yet flushed to the backend
// is then only in their write-ahead logs.
func Kill(target Target) Fault { return New(killing{}, target) }

type killing struct{}

func (killing) Name() string { return "kill" }

func (killing) Hit(ctx context.Context, v Victim) error { return v.Signal(ctx, harness.Kill) }

func (killing) Took(ctx context.Context, v Victim) error {
	_, err := v.Wait(ctx)
	return err
}

func (killing) Heal(ctx context.Context, v Victim) error { return restart(ctx, v) }

// restart starts a member again if its process is not running.
func restart(ctx context.Context, v Victim) error {
	if _, err := v.Endpoint(ctx); err == nil {
		return nil
	}
	return v.Start(ctx)
}
