package await

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestUntilReturnsWhenTheConditionHolds(t *testing.T) {
	tries := 0
	err := Until(t.Context(), Condition{Name: "three tries", Every: time.Millisecond}, func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil || tries != 3 {
		t.Errorf("ended after %d tries with %v", tries, err)
	}
}

func TestUntilNamesConditionAndLastReason(t *testing.T) {
	reason := errors.New("the port is closed")
	err := Until(t.Context(), Condition{Name: "m1 ready", Every: time.Millisecond, Within: 20 * time.Millisecond},
		func(context.Context) error { return reason })
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, reason) {
		t.Errorf("error hides its causes: %v", err)
	}
	if err == nil || !strings.Contains(err.Error(), "await m1 ready") {
		t.Errorf("error does not name the condition: %v", err)
	}
}

// The attempt that the deadline cuts off says only that it was cut off.
func TestUntilKeepsTheReasonBeforeTheCut(t *testing.T) {
	reason := errors.New("no leader")
	first := true
	err := Until(t.Context(), Condition{Name: "x", Every: time.Millisecond, Within: 50 * time.Millisecond},
		func(ctx context.Context) error {
			if first {
				first = false
				return reason
			}
			<-ctx.Done()
			return ctx.Err()
		})
	if !errors.Is(err, reason) {
		t.Errorf("the reason was lost: %v", err)
	}
}

// A server may notice the deadline a moment before the context here has ended.
func TestUntilKeepsTheReasonBeforeACutThatSomebodyElseNoticed(t *testing.T) {
	reason := errors.New("no leader")
	first := true
	err := Until(t.Context(), Condition{Name: "x", Every: 20 * time.Millisecond, Within: 100 * time.Millisecond},
		func(ctx context.Context) error {
			if first {
				first = false
				return reason
			}
			deadline, _ := ctx.Deadline()
			<-time.After(time.Until(deadline) - 5*time.Millisecond)
			return errors.New("deadline exceeded, says the server")
		})
	if !errors.Is(err, reason) {
		t.Errorf("the reason was lost: %v", err)
	}
}

func TestUntilGivesUpWhenHopeless(t *testing.T) {
	reason := errors.New("the process has ended")
	tries := 0
	err := Until(t.Context(), Condition{Name: "x", Every: time.Hour}, func(context.Context) error {
		tries++
		return Hopeless(reason)
	})
	if !errors.Is(err, reason) || tries != 1 {
		t.Errorf("ended after %d tries with %v", tries, err)
	}
}

func TestUntilTellsWhyItsContextEnded(t *testing.T) {
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	err := Until(ctx, Condition{Name: "x"}, func(context.Context) error {
		t.Error("tried although the context had ended")
		return nil
	})
	if !errors.Is(err, cause) {
		t.Errorf("the cause was lost: %v", err)
	}
}
