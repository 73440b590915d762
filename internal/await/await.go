// Package await holds the one polling loop of the project.
//
// Whatever waits for the outside world waits here: for a named condition, until a deadline, with the last reason in the
// error. It knows nothing of etcd or of containers.
package await

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Condition names what is waited for and how patiently.
type Condition struct {
	// Name completes the sentence "await …", for example "m1 answers".
	Name string
	// Every is the pause between two attempts; 50 ms if zero.
	Every time.Duration
	// Within bounds the whole wait in addition to the context; no bound of its own if zero.
	Within time.Duration
}

// hopeless marks a reason that no further attempt can change.
type hopeless struct{ error }

func (h hopeless) Unwrap() error { return h.error }

// Hopeless wraps a reason that waiting longer cannot change; Until returns at once when an attempt reports it.
func Hopeless(reason error) error { return hopeless{reason} }

// Until calls attempt until it returns nil. The error of an attempt is the reason why the condition does not hold yet;
// when the wait ends unfulfilled, the last reason is part of the error, beside the context's.
//
// An attempt receives a context that ends with the wait.
func Until(ctx context.Context, c Condition, attempt func(context.Context) error) error {
	if c.Every <= 0 {
		c.Every = 50 * time.Millisecond
	}
	if c.Within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Within)
		defer cancel()
	}
	start := time.Now()
	timer := time.NewTimer(c.Every)
	defer timer.Stop()
	var last error
	for {
		if ctx.Err() == nil {
			reason := attempt(ctx)
			if reason == nil {
				return nil
			}
			var h hopeless
			if errors.As(reason, &h) {
				return fmt.Errorf("await %s: %w", c.Name, h.error)
			}
			if last == nil || !cutOff(ctx, c.Every) {
				last = reason
			}
		}
		timer.Reset(c.Every)
		select {
		case <-ctx.Done():
			return unfulfilled(ctx, c, time.Since(start), last)
		case <-timer.C:
		}
	}
}

// cutOff tells whether the wait has ended, or ends before another attempt could begin. What an attempt says then may only be
// that it had no time left, which a server can notice a moment before this side does; it would hide the reason that the one
// before it found.
func cutOff(ctx context.Context, every time.Duration) bool {
	deadline, bounded := ctx.Deadline()
	return ctx.Err() != nil || bounded && time.Until(deadline) < every
}

func unfulfilled(ctx context.Context, c Condition, waited time.Duration, last error) error {
	err := context.Cause(ctx)
	if last == nil {
		return fmt.Errorf("await %s: %w after %s", c.Name, err, waited.Round(time.Millisecond))
	}
	return fmt.Errorf("await %s: %w after %s; last reason: %w", c.Name, err, waited.Round(time.Millisecond), last)
}
