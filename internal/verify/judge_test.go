package verify

import (
	"testing"

	"pgregory.net/rapid"
)

// failer is what *testing.T and *rapid.T share.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func judged(t failer, w *world) Verdict {
	t.Helper()
	v, err := Judge(w.evidence(), Output{Scratch: inMemory})
	if err != nil {
		t.Fatalf("judge: %v", err)
	}
	return v
}

func TestUntouchedWorldIsIntact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		roll := seeded(rapid.Uint64().Draw(t, "seed"))
		spec := ordinary
		spec.compact = rapid.Bool().Draw(t, "compact")
		v := judged(t, newWorld(roll, spec))
		if v.Outcome == Damaged || (v.Outcome != Intact && !spec.compact) {
			t.Fatalf("%s: %+v", v.Outcome, v.Findings)
		}
	})
}
