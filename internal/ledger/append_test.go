package ledger

import (
	"encoding/json"
	"testing"
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
			same(t, Pair{Key: Key(text), Digest: text, Create: n, Mod: n, Version: n, Lease: n})
			same(t, Pair{Key: Key(text), Digest: "d", Create: n, Mod: 1, Version: 2, Lease: 3})
		}
	}
}

func same[T Record | Pair](t *testing.T, value T) {
	t.Helper()
	want, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := appendOf[T]()([]byte("before "), value); err != nil || string(got) != "before "+string(want) {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}
