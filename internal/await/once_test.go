package await

import (
	"context"
	"errors"
	"testing"
)

func TestOnceKeepsASuccessAndNoFailure(t *testing.T) {
	once, calls := NewOnce[int]("count"), 0
	failing := true
	work := func(context.Context) (int, error) {
		if calls++; failing {
			return 0, errors.New("not yet")
		}
		return calls, nil
	}
	if _, err := once.Do(t.Context(), work); err == nil {
		t.Error("a failure was kept back")
	}
	failing = false
	for range 3 {
		if got, err := once.Do(t.Context(), work); got != 2 || err != nil {
			t.Errorf("got %d, %v, want the second call's result", got, err)
		}
	}
}

func TestWaitingForOnceCanBeGivenUp(t *testing.T) {
	once, entered, leave := NewOnce[int]("count"), make(chan struct{}), make(chan struct{})
	first := make(chan error, 1)
	go func() {
		_, err := once.Do(t.Context(), func(context.Context) (int, error) {
			close(entered)
			<-leave
			return 1, nil
		})
		first <- err
	}()
	<-entered
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := once.Do(ctx, nil); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if got, err := once.Do(t.Context(), nil); got != 1 || err != nil {
		t.Errorf("got %d, %v, want what was kept", got, err)
	}
}

func TestEveryKeyHasAResultOfItsOwn(t *testing.T) {
	each, calls := NewEach[string, string]("count"), 0
	for range 2 {
		for _, key := range []string{"a", "b"} {
			got, err := each.Do(t.Context(), key, func(context.Context) (string, error) {
				calls++
				return "of " + key, nil
			})
			if got != "of "+key || err != nil {
				t.Errorf("key %s: got %q, %v", key, got, err)
			}
		}
	}
	if calls != 2 {
		t.Errorf("the work of two keys was done %d times", calls)
	}
}
