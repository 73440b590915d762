package harness

import (
	"slices"
	"testing"
)

func TestTracesAreNoLastWords(t *testing.T) {
	trace := []string{`{"level":"panic","msg":"no space"}`, "panic: no space", "", "goroutine 1 [running]:", "\tmain.go:31"}
	for name, c := range map[string]struct{ lines, want []string }{
		"a panic":                {trace, trace[:2]},
		"a fault":                {[]string{"x", "fatal error: fault", "[signal SIGBUS]", "goroutine 7:"}, []string{"x", "fatal error: fault"}},
		"none":                   {[]string{"{}", "etcd ended"}, []string{"{}", "etcd ended"}},
		"one of an earlier life": {append(slices.Clone(trace), "{}", "bad flag"), append(slices.Clone(trace), "{}", "bad flag")},
	} {
		if got := beforeTrace(c.lines); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
