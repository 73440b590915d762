package verify

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

const (
	benchWrites = 1_000_000
	benchKeys   = 100_000
	benchLost   = 100
)

// benchEntry is write i of a synthetic load: workers in turn, each key over and over.
func benchEntry(i int) ledger.Entry {
	call := time.Unix(1_700_000_000, int64(i)*1000).UTC()
	return ledger.Entry{
		Worker: i % 16, Seq: int64(i / 16), Op: ledger.OpPut, Call: call, Return: call.Add(time.Millisecond),
		Changes: []ledger.Change{{Key: benchKey(i), Digest: benchDigest(i)}},
		Outcome: ledger.Acknowledged, Revision: int64(i) + 2, Owns: true, Member: 7, Cluster: 9,
	}
}

func benchKey(i int) ledger.Key { return ledger.Key(fmt.Sprintf("bench/key-%08d", (i*7919)%benchKeys)) }

func benchDigest(i int) string { return fmt.Sprintf("%032x", i) }

func benchRecord(i int) ledger.Record {
	round := i / benchKeys // 7919 and benchKeys share no factor, so each round writes each key once
	first := i % benchKeys
	return ledger.Record{
		Rev: int64(i) + 2, Key: benchKey(i), Digest: benchDigest(i), Create: int64(first) + 2, Mod: int64(i) + 2, Version: int64(round) + 1,
	}
}

// BenchmarkJudgeMillion judges a drill of a million writes on three members, everything on disk. Memory must not grow
// with it: the peak of RssAnon is reported, which the page cache is not part of.
func BenchmarkJudgeMillion(b *testing.B) {
	ev := benchEvidence(b)
	scratch := fileScratch(b)
	stop := make(chan struct{})
	peak := make(chan int64)
	go func() { peak <- samplePeak(stop) }()
	b.ResetTimer()
	for b.Loop() {
		v, err := Judge(ev, Output{Scratch: scratch})
		if err != nil || v.Outcome != Intact || v.Loss.Writes != benchLost || v.Compared.Keys != benchKeys {
			b.Fatalf("%v: %+v", err, v)
		}
	}
	b.StopTimer()
	close(stop)
	b.ReportMetric(float64(<-peak)/1024, "MiB-RssAnon")
	b.ReportMetric(float64(benchWrites)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

func benchEvidence(b *testing.B) Evidence {
	dir := b.TempDir()
	inHistory := benchWrites - benchLost
	w := newWorld(seeded(1), ordinary)
	ev := w.evidence()
	ev.Ledger = ledger.ReadEntries(onDisk(b, dir, "ledger", func(out io.Writer) error {
		book := ledger.NewWriter(out)
		for i := range benchWrites {
			if err := book.Append(benchEntry(i)); err != nil {
				return err
			}
		}
		return book.End()
	}))
	ev.Source.RestorePoint = int64(inHistory) + 1
	ev.Source.History = ledger.ReadRecords(onDisk(b, dir, "history", func(out io.Writer) error {
		return ledger.WriteRecords(out, func(yield func(ledger.Record, error) bool) {
			for i := range inHistory {
				if !yield(benchRecord(i), nil) {
					return
				}
			}
		})
	}))
	ev.Source.Keyspace = ledger.ReadPairs(onDisk(b, dir, "keyspace", func(out io.Writer) error {
		last := make([]int, benchKeys)
		for i := range inHistory {
			last[(i*7919)%benchKeys] = i
		}
		return ledger.WritePairs(out, func(yield func(ledger.Pair, error) bool) {
			for _, i := range last {
				if !yield(pairOf(benchRecord(i)), nil) {
					return
				}
			}
		})
	}))
	for i := range ev.Reborn {
		m := &ev.Reborn[i]
		m.ReadAt, m.Revision = ev.Source.RestorePoint, ev.Source.RestorePoint
		m.History, m.Keyspace = ev.Source.History, ev.Source.Keyspace
	}
	ev.Canary.Revision = ev.Source.RestorePoint + 1
	return ev
}

func onDisk(tb testing.TB, dir, name string, fill func(io.Writer) error) func() (io.ReadCloser, error) {
	path := filepath.Join(dir, name)
	file, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := fill(file); err != nil {
		tb.Fatal(err)
	}
	if err := file.Close(); err != nil {
		tb.Fatal(err)
	}
	return func() (io.ReadCloser, error) { return os.Open(path) }
}

func fileScratch(tb testing.TB) ledger.Scratch {
	dir := tb.TempDir()
	return func() (ledger.Spill, error) {
		file, err := os.CreateTemp(dir, "spill")
		if err == nil {
			tb.Cleanup(func() { _ = file.Close() })
		}
		return file, err
	}
}

// samplePeak returns the greatest RssAnon seen, in KiB.
func samplePeak(stop <-chan struct{}) int64 {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var peak int64
	for {
		select {
		case <-stop:
			return peak
		case <-ticker.C:
			peak = max(peak, rssAnonKiB())
		}
	}
}

func rssAnonKiB() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := bytes.Cut(status, []byte("RssAnon:"))
	if fields := bytes.Fields(after); len(fields) > 0 {
		kib, _ := strconv.ParseInt(string(fields[0]), 10, 64)
		return kib
	}
	return 0
}
