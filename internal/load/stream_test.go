package load

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// proposals returns the first operations of one worker.
func proposals(o Options, worker, n int) []operation {
	s := newStream(o.withDefaults(), worker)
	var list []operation
	for range n {
		list = append(list, s.next())
	}
	return list
}

func TestTheSeedFixesWhatEveryWorkerProposes(t *testing.T) {
	for _, profile := range []Profile{Mixed, Puts} {
		o := Options{Profile: profile, Seed: 42}
		one, two := proposals(o, 3, 500), proposals(o, 3, 500)
		if !reflect.DeepEqual(one, two) {
			t.Errorf("%s: two runs propose differently", profile)
		}
		if reflect.DeepEqual(one, proposals(o, 4, 500)) {
			t.Errorf("%s: two workers propose the same", profile)
		}
		o.Seed++
		if reflect.DeepEqual(one, proposals(o, 3, 500)) {
			t.Errorf("%s: two seeds propose the same", profile)
		}
	}
}

func TestProposalsKeepTheRulesOfTheKeySpace(t *testing.T) {
	const worker = 7
	leases := make(map[int64]bool)
	guards := make(map[guardKind]int)
	for i, o := range proposals(Options{Seed: 1, ValueBytes: 64}, worker, 5000) {
		if o.seq != int64(i+1) {
			t.Fatalf("operation %d has sequence %d", i+1, o.seq)
		}
		if o.op == ledger.OpGrant {
			if o.lease <= 0 || o.ttl != 3600 || len(o.edits) > 0 {
				t.Errorf("grant %+v", o)
			}
			leases[o.lease] = true
			continue
		}
		if n := len(o.edits); (o.op == ledger.OpTxn) != (n > 1) || n < 1 || n > maxTxnEdits {
			t.Errorf("%s of %d keys", o.op, n)
		}
		keys := make(map[string]bool)
		for _, e := range o.edits {
			checkEdit(t, e, o, worker)
			keys[e.key] = true
			if e.lease != 0 && !leases[e.lease] {
				t.Errorf("%s is attached to a lease that was not proposed", e.key)
			}
		}
		if len(keys) != len(o.edits) {
			t.Errorf("a transaction names a key twice: %+v", o.edits)
		}
		guards[o.guard.kind]++
		if o.guard.kind != unguarded && !strings.HasPrefix(o.guard.key, "/w07/") {
			t.Errorf("compare on %q, which is not the worker's own", o.guard.key)
		}
	}
	if len(leases) != maxLeases || len(guards) != 4 {
		t.Errorf("%d leases, guards %v", len(leases), guards)
	}
}

func checkEdit(t *testing.T, e edit, o operation, worker int) {
	t.Helper()
	hot := strings.HasPrefix(e.key, "/hot/")
	if !hot && !strings.HasPrefix(e.key, fmt.Sprintf("/w%02d/", worker)) {
		t.Errorf("key %q belongs to nobody", e.key)
	}
	if hot && o.op != ledger.OpPut {
		t.Errorf("%s of the shared key %s", o.op, e.key)
	}
	if e.remove {
		if e.value != "" || e.lease != 0 {
			t.Errorf("a delete carries %+v", e)
		}
		return
	}
	head := fmt.Sprintf("w%02d s%06d ", worker, o.seq)
	if len(e.value) != 64 || !strings.HasPrefix(e.value, head) {
		t.Errorf("value %q does not begin with %q or has not 64 bytes", e.value, head)
	}
}

func TestPutsProposesOnlyFreshKeys(t *testing.T) {
	seen := make(map[string]bool)
	for _, o := range proposals(Options{Profile: Puts}, 0, 1000) {
		if o.op != ledger.OpPut || len(o.edits) != 1 || o.edits[0].remove || seen[o.edits[0].key] {
			t.Fatalf("not a put of a fresh key: %+v", o)
		}
		seen[o.edits[0].key] = true
	}
}
