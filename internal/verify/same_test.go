package verify

import (
	"errors"
	"testing"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// TestWhatIsTheSameIsNotReadAgain hands the judge streams that nobody can read.
func TestWhatIsTheSameIsNotReadAgain(t *testing.T) {
	gone := errors.New("read although it is known")
	for _, known := range []bool{true, false} {
		ev := newWorld(seeded(1), ordinary).evidence()
		for i := range ev.Reborn {
			m := &ev.Reborn[i]
			m.SameHistory, m.SameKeyspace = known, known
			m.History = func(yield func(ledger.Record, error) bool) { yield(ledger.Record{}, gone) }
			m.Keyspace = func(yield func(ledger.Pair, error) bool) { yield(ledger.Pair{}, gone) }
		}
		v, err := Judge(ev, Output{Scratch: inMemory})
		if known && (err != nil || v.Outcome != Intact || v.Compared.Members != len(ev.Reborn)) {
			t.Errorf("known: %v, %+v, %v", v.Outcome, v.Findings, err)
		}
		if !known && !errors.Is(err, gone) {
			t.Errorf("not known: %v, %v", v.Outcome, err)
		}
	}
}
