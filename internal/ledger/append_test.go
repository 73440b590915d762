package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// TestLinesAreThoseOfJSON keeps what is written without reflection the same as what is written with it.
func TestLinesAreThoseOfJSON(t *testing.T) {
	for _, text := range []string{
		"", "/registry/pods/a-b", "~ !#$%'()*+,-./:;=?@[]^_`{|}", "a<b", "a>b", "a&b",
		`"`, `\`, `\x00`, "\x00", "\x1f", "\x7f", "\n", "ü", "\u2028", "\xff",
	} {
		for _, n := range []int64{0, 1, -1, 1 << 62, -1 << 63} {
			for _, deleted := range []bool{false, true} {
				same(t, Record{Rev: n, Sub: n, Key: Key(text), Delete: deleted, Digest: text, Create: n, Mod: n, Version: n, Lease: n})
			}
			same(t, Record{Rev: n, Sub: 7, Key: Key(text)})
			member, cluster := identity.MemberID(uint64(n)), identity.ClusterID(uint64(n))
			for _, at := range []time.Time{
				{}, time.Unix(n>>34, 120).UTC(), time.Unix(0, 0).In(time.FixedZone("", 3600)), time.Unix(1, 999),
			} {
				same(t, Entry{
					Worker: int(n), Seq: n, Op: OpTxn, Lease: n, TTLSeconds: n, Call: at, Return: at, Outcome: Unknown,
					Revision: n, Owns: n > 0, Member: member, Cluster: cluster, Reason: text,
				})
				same(t, Entry{Op: Op(text), Outcome: Outcome(text), Call: at, Return: at.UTC(), Changes: []Change{
					{Key: Key(text)}, {Key: "k", Digest: text, Lease: n}, {Key: "k", Delete: true, Void: n > 0},
				}})
				same(t, Entry{Op: OpPut, Call: at.UTC(), Return: at.UTC(), Changes: []Change{{Key: "k", Digest: "d", Lease: n}}})
			}
			same(t, Pair{Key: Key(text), Digest: text, Create: n, Mod: n, Version: n, Lease: n})
			same(t, Pair{Key: Key(text), Digest: "d", Create: n, Mod: 1, Version: 2, Lease: 3})
		}
	}
}

func same[T Record | Pair | Entry](t *testing.T, value T) {
	t.Helper()
	want, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	write, isEntry := any(appendEntry).(func([]byte, T) ([]byte, error))
	if !isEntry {
		write = appendOf[T]()
	}
	if got, err := write([]byte("before "), value); err != nil || string(got) != "before "+string(want) {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}
