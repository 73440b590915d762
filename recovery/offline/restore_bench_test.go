package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/dataset"
)

// Where the benchmark works, and on how much: a folder, which had better be on tmpfs for the ratio that is a goal, and MiB.
const (
	envBenchDir  = "ETCD_DRILL_BENCH_DIR"
	envBenchSize = "ETCD_DRILL_BENCH_MIB"
)

// BenchmarkThreeMembers restores three members of one saved snapshot, and does beside it, in turns, what a person could: three
// restores by the released etcdutl at once, three one after the other, and three copies that are put on disk, which is what no
// restore can beat on a file system without clones. It reports the medians and the ratios of the pairs. The goal is 0.75 of three
// parallel ones, on tmpfs and at 1.5 GB.
func BenchmarkThreeMembers(b *testing.B) {
	r := newRace(b)
	sides := []struct {
		name string
		run  func() error
	}{
		{"drill", r.restore}, {"parallel", func() error { return r.etcdutl(3) }},
		{"sequence", func() error { return r.etcdutl(1) }}, {"copies", r.copies},
	}
	took, cpu := map[string][]time.Duration{}, map[string][]time.Duration{}
	for round := 0; b.Loop(); round++ {
		for i := range sides {
			side := sides[(i+round)%len(sides)] // who goes first changes
			start, spent := time.Now(), childCPU(b)
			if err := side.run(); err != nil {
				b.Fatal(err)
			}
			took[side.name] = append(took[side.name], time.Since(start))
			cpu[side.name] = append(cpu[side.name], childCPU(b)-spent)
			r.clear()
		}
	}
	for _, side := range sides[1:] {
		var ratios []float64
		for i, other := range took[side.name] {
			ratios = append(ratios, float64(took["drill"][i])/float64(other))
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "drill/"+side.name)
	}
	for _, side := range sides {
		b.ReportMetric(median(took[side.name]), "ms/"+side.name)
		b.ReportMetric(median(cpu[side.name]), "cpu-ms/"+side.name)
	}
	b.ReportMetric(0, "ns/op") // of all together, which says nothing
}

// childCPU is the processor time of all children that have ended: of workers and programs.
func childCPU(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// race is what all sides start from.
type race struct {
	b       *testing.B
	dir     string
	worker  Worker
	plan    recovery.Plan
	etcdutl func(atOnce int) error
}

func newRace(b *testing.B) *race {
	mib, err := strconv.ParseInt(os.Getenv(envBenchSize), 10, 64)
	if err != nil {
		mib = 64
	}
	folder := os.Getenv(envBenchDir)
	if folder == "" {
		folder = b.TempDir()
	}
	dir, err := os.MkdirTemp(folder, "etcd-drill-bench-*")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			b.Error(err)
		}
	})
	set, err := dataset.Cache{Dir: filepath.Join(dir, "sets")}.Get(b.Context(),
		dataset.Spec{SizeBytes: mib << 20, ValueBytes: 6000, Revisions: 1, Seed: 1}, dataset.Snapshot)
	if err != nil {
		b.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	r := &race{b: b, dir: dir, worker: Worker{Path: program, Env: []string{workerEnv + "=serve"}, Scratch: dir}}
	source, err := Check(b.Context(), r.worker, recovery.SavedSnapshot, set.Path)
	if err != nil {
		b.Fatal(err)
	}
	layout := harness.Layout{Token: "bench"}
	for i := range 3 {
		layout.Seats = append(layout.Seats, harness.Seat{Name: fmt.Sprint("m", i), PeerURL: fmt.Sprintf("http://127.0.0.1:%d", 23800+i)})
	}
	if r.plan, err = recovery.NewPlan(source, layout, identity.FreshToken()); err != nil {
		b.Fatal(err)
	}
	r.etcdutl = r.byHand(released(b))
	return r
}

func released(b *testing.B) string {
	cache, err := os.UserCacheDir()
	if err != nil {
		b.Fatal(err)
	}
	built, err := release.Build(b.Context(), release.Request{CacheDir: filepath.Join(cache, "etcd-drill")})
	if err != nil {
		b.Fatal(err)
	}
	return built.Etcdutl
}

func (r *race) out() string { return filepath.Join(r.dir, "out") }

func (r *race) clear() {
	if err := os.RemoveAll(r.out()); err != nil {
		r.b.Fatal(err)
	}
}

func (r *race) restore() error {
	if err := os.Mkdir(r.out(), 0o700); err != nil {
		return err
	}
	restored, err := Restore(r.b.Context(), r.worker, r.plan, r.out())
	for _, lap := range restored.Laps {
		if testing.Verbose() {
			r.b.Logf("%-8s %6.0f ms at %6.0f", lap.Name, lap.Took.Seconds()*1000, lap.Start.Sub(restored.Laps[0].Start).Seconds()*1000)
		}
	}
	return err
}

// byHand restores every member by the program, so many at once.
func (r *race) byHand(program string) func(atOnce int) error {
	return func(atOnce int) error {
		work, ctx := errgroup.WithContext(r.b.Context())
		work.SetLimit(atOnce)
		for _, member := range r.plan.Members {
			work.Go(func() error {
				cmd := exec.CommandContext(ctx, program, "snapshot", "restore", r.plan.Source.Path, "--name", member.Name,
					"--initial-cluster", member.InitialCluster, "--initial-cluster-token", string(r.plan.Layout.Token),
					"--initial-advertise-peer-urls", member.PeerURL, "--data-dir", filepath.Join(r.out(), member.Name))
				return cmd.Run()
			})
		}
		return work.Wait()
	}
}

// copies copies the source for every member and puts the copies on disk.
func (r *race) copies() error {
	if err := os.Mkdir(r.out(), 0o700); err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(r.b.Context())
	for _, member := range r.plan.Members {
		work.Go(func() error { return copySynced(ctx, r.plan.Source.Path, filepath.Join(r.out(), member.Name)) })
	}
	return work.Wait()
}

func copySynced(ctx context.Context, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close(), in.Close(), ctx.Err())
}
