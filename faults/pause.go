package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// Pause freezes the victims: their connections stay open, and nothing answers on them.
func Pause(target Target) Fault { return New(pausing{}, target) }

type pausing struct{}

func (pausing) Name() string { return "pause" }

func (pausing) Hit(ctx context.Context, v Victim) error { return v.Signal(ctx, harness.Freeze) }

func (pausing) Took(ctx context.Context, v Victim) error {
	return await.Until(ctx, await.Condition{Name: v.Name() + " frozen", Within: 10 * time.Second}, func(ctx context.Context) error {
		return silentFor(ctx, v.Member, 500*time.Millisecond)
	})
}

func (pausing) Heal(ctx context.Context, v Victim) error {
	switch err := silentFor(ctx, v.Member, 500*time.Millisecond); {
	case errors.Is(err, errAnswered): // not frozen, or thawed already
		return nil
	case err != nil:
		return err
	}
	return v.Signal(ctx, harness.Thaw)
}

var errAnswered = errors.New("it still answers")

// silentFor returns nil if the member leaves a status request unanswered for this long, and errAnswered if it does answer.
func silentFor(ctx context.Context, m *harness.Member, d time.Duration) error {
	probe, err := m.Probe(ctx)
	if err != nil {
		return err
	}
	defer probe.Close()
	asked, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if _, err := probe.Health(asked); err == nil {
		return fmt.Errorf("%s: %w", m.Name(), errAnswered)
	}
	return ctx.Err()
}
