package offline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/dataset"
	"github.com/etcd-drill/etcd-drill/recovery/internal/serve"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// BenchmarkRestoreInAChild restores one member from the same snapshot in a worker process and in this one, in turn. It reports
// the medians and the difference: what it costs that a damaged file can kill only the child. The goal is 60 ms at most.
func BenchmarkRestoreInAChild(b *testing.B) {
	set, err := dataset.Cache{Dir: b.TempDir()}.Get(b.Context(),
		dataset.Spec{SizeBytes: 4 << 20, ValueBytes: 256, Revisions: 1, Seed: 1}, dataset.Snapshot)
	if err != nil {
		b.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	worker := Worker{Path: program, Env: []string{workerEnv + "=serve"}, Scratch: b.TempDir()}
	layout := harness.Layout{Token: "bench", Seats: []harness.Seat{{Name: "m1", PeerURL: "http://127.0.0.1:2380"}}}
	var child, here []time.Duration
	for i := 0; b.Loop(); i++ {
		for name, restore := range map[string]func(wire.Request) error{
			"child": func(req wire.Request) error {
				start := time.Now()
				resp, err := worker.run(b.Context(), "restore", req)
				child = append(child, time.Since(start))
				if err == nil {
					err = resp.Failure.Err()
				}
				return err
			},
			"here": func(req wire.Request) error {
				start := time.Now()
				question, err := json.Marshal(req)
				if err != nil {
					return err
				}
				var said bytes.Buffer
				if err := serve.Answer(b.Context(), bytes.NewReader(question), &said, io.Discard); err != nil {
					return err
				}
				here = append(here, time.Since(start))
				var resp wire.Response
				if err := wire.Decode(&said, &resp); err != nil {
					return err
				}
				return resp.Failure.Err()
			},
		} {
			dir := filepath.Join(worker.Scratch, fmt.Sprint(name, i))
			if err := os.Mkdir(dir, 0o700); err != nil {
				b.Fatal(err)
			}
			err := restore(wire.Request{Restore: &wire.RestoreTask{
				Source:         wire.CopyTask{Kind: recovery.SavedSnapshot, Path: set.Path, Copy: filepath.Join(dir, "source"), SHA256: set.SHA256},
				InitialCluster: layout.InitialCluster(), Token: layout.Token,
				Members: []wire.MemberTask{{Name: "m1", PeerURL: layout.Seats[0].PeerURL, DataDir: filepath.Join(dir, "data")}},
			}})
			if err != nil {
				b.Fatal(err)
			}
			if err := os.RemoveAll(dir); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(median(child), "ms/child")
	b.ReportMetric(median(here), "ms/here")
	b.ReportMetric(median(child)-median(here), "ms/more")
	b.ReportMetric(0, "ns/op") // of both together, which says nothing
}

// median is in milliseconds.
func median(took []time.Duration) float64 {
	slices.Sort(took)
	return float64(took[len(took)/2].Microseconds()) / 1000
}
