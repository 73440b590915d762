package fetch

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestDeadlineIsKnownWhoeverNoticedItFirst(t *testing.T) {
	soon, cancel := context.WithTimeout(t.Context(), noticedBy/2)
	defer cancel()
	later, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	given, giveUp := context.WithTimeout(t.Context(), noticedBy/2)
	giveUp()
	reset := status.Error(codes.Canceled, "stream terminated by RST_STREAM with error code: CANCEL")
	for name, c := range map[string]struct {
		ctx      context.Context
		err      error
		deadline bool
	}{
		"noticed by the server":           {later, status.Error(codes.DeadlineExceeded, "deadline"), true},
		"noticed by the context":          {later, context.DeadlineExceeded, true},
		"reset by the server as it ended": {soon, reset, true},
		"reset long before":               {later, reset, false},
		"reset without a deadline":        {t.Context(), reset, false},
		"given up by the caller":          {given, reset, false},
		"a broken stream":                 {soon, status.Error(codes.Unavailable, "the server went away"), false},
	} {
		got := asDeadline(c.ctx, c.err)
		if errors.Is(got, context.DeadlineExceeded) != c.deadline || !errors.Is(got, c.err) {
			t.Errorf("%s became %v", name, got)
		}
	}
}
