package kernel

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestEveryTrialIsReturnedInOrder(t *testing.T) {
	start := time.Now()
	byName(t, testProber(t, "serve").Try(t.Context()))
	t.Logf("took %s", time.Since(start))
}

func TestServeRefusesWhatItCannotAnswer(t *testing.T) {
	for question, want := range map[string]string{
		"":                   "read request: EOF",
		"netem":              "read request: invalid character",
		`{"trial":"wishes"}`: `there is no trial "wishes"`,
		`{"trial":"cgroup"}`: "the request holds no mark",
	} {
		var out bytes.Buffer
		err := Serve(t.Context(), strings.NewReader(question), &out)
		if err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%q: got %v and %q, want %q and no answer", question, err, &out, want)
		}
	}
}

func TestServeRunsNoTrialOnceItsContextHasEnded(t *testing.T) {
	reason := errors.New("called off")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	var out bytes.Buffer
	err := Serve(ctx, strings.NewReader(`{"trial":"cgroup","mark":"etcd-drill-late"}`), &out)
	if !errors.Is(err, reason) || out.Len() > 0 {
		t.Errorf("got %v and %q, want %v and no answer", err, &out, reason)
	}
}
