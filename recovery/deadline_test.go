package recovery

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestDeadlineIsKnownWhoeverNoticedItFirst(t *testing.T) {
	noticed := status.Error(codes.DeadlineExceeded, "stream terminated by RST_STREAM with error code: CANCEL")
	if err := asDeadline(noticed); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, noticed) {
		t.Errorf("a deadline that the server noticed became %v", err)
	}
	if err := asDeadline(context.DeadlineExceeded); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline of the context became %v", err)
	}
	broken := status.Error(codes.Unavailable, "the server went away")
	if err := asDeadline(broken); errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, broken) {
		t.Errorf("a broken stream became %v", err)
	}
}
