package ledger_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"pgregory.net/rapid"
)

func opened(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

func collect[T any](s iter.Seq2[T, error]) (all []T, err error) {
	for v, e := range s {
		if e != nil {
			return all, e
		}
		all = append(all, v)
	}
	return all, nil
}

func entry(worker int, seq int64) ledger.Entry {
	at := time.Unix(1_700_000_000, seq).UTC()
	return ledger.Entry{
		Worker: worker, Seq: seq, Op: ledger.OpTxn, Call: at, Return: at.Add(time.Second), Outcome: ledger.Acknowledged,
		Changes:  []ledger.Change{{Key: "plain", Digest: "d", Lease: 7}, {Key: "\xff\x00", Delete: true, Void: true}},
		Revision: seq + 1, Owns: true, Member: 0xfedcba9876543210, Cluster: 0x16a2d2b391eb30f9,
	}
}

func TestEntriesComeBackAsWritten(t *testing.T) {
	var out bytes.Buffer
	w := ledger.NewWriter(&out)
	want := []ledger.Entry{entry(1, 1), entry(2, 1), entry(1, 2)}
	for _, e := range want {
		if err := w.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	stream := ledger.ReadEntries(opened(out.String()))
	for range 2 { // a stream can be read again
		got, err := collect(stream)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v: %+v", err, got)
		}
	}
	if err := w.Append(entry(1, 3)); err == nil {
		t.Error("an ended ledger took an entry")
	}
}

func TestConcurrentAppendsKeepLinesWhole(t *testing.T) {
	var out bytes.Buffer
	w := ledger.NewWriter(&out)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for seq := range int64(200) {
				if err := w.Append(entry(worker, seq)); err != nil {
					t.Error(err)
				}
				if seq%50 == 0 {
					if err := w.Flush(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	got, err := collect(ledger.ReadEntries(opened(out.String())))
	if err != nil || len(got) != 1600 {
		t.Fatalf("%d entries, %v", len(got), err)
	}
}

// TestEveryCutIsUnended cuts a ledger at each byte: wherever it ends, it is not taken for whole.
func TestEveryCutIsUnended(t *testing.T) {
	var out bytes.Buffer
	w := ledger.NewWriter(&out)
	for seq := range int64(3) {
		if err := w.Append(entry(1, seq)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	whole := out.String()
	for at := range len(whole) {
		if _, err := collect(ledger.ReadEntries(opened(whole[:at]))); !errors.Is(err, ledger.ErrUnended) {
			t.Fatalf("cut at byte %d of %d: %v", at, len(whole), err)
		}
	}
}

func TestMalformedLinesAreNamed(t *testing.T) {
	good := `{"r":2,"k":"a","d":"x"}` + "\n"
	for text, want := range map[string]string{
		good + "{nonsense}\n" + `{"end":"complete"}` + "\n": "line 2",
		good + `{"end":"complete"}` + "\n" + good:           "more after the closing line",
		good + "\n" + `{"end":"complete"}` + "\n":           "line 2",
		good + `{"r":"two","k":"a"}` + "\n":                 "line 2",
		good + `{"r":02,"k":"a"}` + "\n":                    "line 2",
		good + `{"r":2,"k":"a"}}` + "\n":                    "line 2",
		good + `{"r":2,"k":true}` + "\n":                    "line 2",
		good + `{"r":2,"k":"a",}` + "\n":                    "line 2",
	} {
		if _, err := collect(ledger.ReadRecords(opened(text))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRecordsAndPairsComeBackAsWritten(t *testing.T) {
	keys := rapid.Custom(func(t *rapid.T) ledger.Key {
		return ledger.Key(rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,20}`), rapid.Just(strings.Repeat("long", 40_000)),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "key"))
	})
	number := rapid.Int64()
	rapid.Check(t, func(t *rapid.T) {
		var records []ledger.Record
		var pairs []ledger.Pair
		for range rapid.IntRange(0, 5).Draw(t, "count") {
			r := ledger.Record{
				Rev: number.Draw(t, "rev"), Sub: number.Draw(t, "sub"), Key: keys.Draw(t, "key"), Delete: rapid.Bool().Draw(t, "delete"),
				Digest: rapid.String().Draw(t, "digest"), Create: number.Draw(t, "create"), Mod: number.Draw(t, "mod"),
				Version: number.Draw(t, "version"), Lease: number.Draw(t, "lease"),
			}
			records = append(records, r)
			pairs = append(pairs, ledger.Pair{Key: r.Key, Digest: r.Digest, Create: r.Create, Mod: r.Mod, Version: r.Version, Lease: r.Lease})
		}
		var history, keyspace bytes.Buffer
		if err := errors.Join(ledger.WriteRecords(&history, streamOf(records)), ledger.WritePairs(&keyspace, streamOf(pairs))); err != nil {
			t.Fatal(err)
		}
		gotRecords, err := collect(ledger.ReadRecords(opened(history.String())))
		if err != nil || !slices.Equal(gotRecords, records) {
			t.Fatalf("%v: %+v is not %+v", err, gotRecords, records)
		}
		gotPairs, err := collect(ledger.ReadPairs(opened(keyspace.String())))
		if err != nil || !slices.Equal(gotPairs, pairs) {
			t.Fatalf("%v: %+v is not %+v", err, gotPairs, pairs)
		}
	})
}

func streamOf[T any](values []T) ledger.Stream[T] {
	return func(yield func(T, error) bool) {
		for _, v := range values {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// failing accepts some bytes and then no more.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

var errFull = errors.New("no space left")

func TestTheFirstErrorStays(t *testing.T) {
	w := ledger.NewWriter(&failing{left: 10})
	if err := w.Append(entry(1, 1)); err != nil {
		t.Fatalf("the first entry is only buffered: %v", err)
	}
	for _, err := range []error{w.Flush(), w.Append(entry(1, 2)), w.Flush(), w.End()} {
		if !errors.Is(err, errFull) {
			t.Errorf("after the disk was full: %v", err)
		}
	}
}

type item struct {
	Rank  int
	Place int
	Text  string
}

func byRank(a, b item) int { return cmp.Compare(a.Rank, b.Rank) }

// TestSortIsStableBeyondMemory sorts some runs' worth of values with few ranks, so that equal ones meet across runs.
func TestSortIsStableBeyondMemory(t *testing.T) {
	for _, count := range []int{0, 1, 100, 20_000, 20_001, 90_000} {
		items := make([]item, count)
		for i := range items {
			items[i] = item{Rank: (i * 7919) % 13, Place: i, Text: strings.Repeat("x", i%3)}
		}
		made := 0
		sorted, err := ledger.Sort(streamOf(items), byRank, func() (ledger.Spill, error) {
			made++
			return os.CreateTemp(t.TempDir(), "spill")
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortStableFunc(items, byRank)
		for range 2 {
			got, err := collect(sorted)
			if err != nil || !slices.Equal(got, items) {
				t.Fatalf("%d items: not in order: %v", count, err)
			}
		}
		if wanted := min(1, count/20_000); made != wanted {
			t.Errorf("%d items took %d spills, not %d", count, made, wanted)
		}
	}
}

func TestSortPassesErrorsOn(t *testing.T) {
	many := make([]item, 50_000)
	if _, err := ledger.Sort(streamOf(many), byRank, func() (ledger.Spill, error) { return nil, errFull }); !errors.Is(err, errFull) {
		t.Errorf("no scratch: %v", err)
	}
	broken := func(yield func(item, error) bool) { yield(item{}, errFull) }
	if _, err := ledger.Sort(broken, byRank, nil); !errors.Is(err, errFull) {
		t.Errorf("broken stream: %v", err)
	}
}

func TestDigest(t *testing.T) {
	// RFC 4231, test case 2, cut to 16 bytes.
	if got := ledger.Digest([]byte("Jefe"), []byte("what do ya want for nothing?")); got != "5bdcc146bf60754e6a042426089575c7" {
		t.Errorf("digest is %s", got)
	}
}

func BenchmarkReadRecords(b *testing.B) {
	var out bytes.Buffer
	err := ledger.WriteRecords(&out, func(yield func(ledger.Record, error) bool) {
		for i := range int64(100_000) {
			r := ledger.Record{
				Rev: i, Key: ledger.Key(fmt.Sprintf("bench/key-%08d", i)), Digest: fmt.Sprintf("%032x", i), Create: i, Mod: i, Version: 1,
			}
			if !yield(r, nil) {
				return
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(out.Len()))
	for b.Loop() {
		for _, err := range ledger.ReadRecords(opened(out.String())) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
