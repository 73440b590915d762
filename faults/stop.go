package faults

import (
	"context"
	"fmt"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
)

// Stop ends the victims with SIGTERM, which lets them flush their backends, and keeps their data.
func Stop(target Target) Fault { return New(stopping{}, target) }

// stopPatience is how long a member may take to end after SIGTERM. A pending linearizable read holds it for seconds.
const stopPatience = 30 * time.Second

type stopping struct{}

func (stopping) Name() string { return "stop" }

func (stopping) Hit(ctx context.Context, v Victim) error { return v.Signal(ctx, harness.Terminate) }

func (stopping) Took(ctx context.Context, v Victim) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stopPatience, fmt.Errorf("still running %s after SIGTERM", stopPatience))
	defer cancel()
	_, err := v.Wait(ctx)
	return err
}

func (stopping) Heal(ctx context.Context, v Victim) error { return restart(ctx, v) }
