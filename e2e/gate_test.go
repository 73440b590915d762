package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gmeasure"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/internal/bench"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/dataset"
)

// held is how long a restore is held up that is slowed on purpose: many times what it takes, so that no noise hides it.
const held = 8 * time.Second

var _ = Describe("the gate of benchmarks", Label("bench", "etcd"), func() {
	// Alone, so that all noise is that of etcd's elections: beside other specs five samples tell nothing now and then, and rightly.
	It("calls a restore worse that was held up on purpose, and an unchanged one not", Serial, func(ctx SpecContext) {
		old, unchanged := measureOnce(ctx, nil), measureOnce(ctx, nil)
		slowed := measureOnce(ctx, func(e drill.Event) {
			if e.Name == drill.EventFetched {
				<-time.After(held) // between two moments of the event log, as a slow disk would
			}
		})
		for name, run := range map[string]drill.Benchmark{"unchanged": unchanged, "slowed": slowed} {
			for _, experiment := range matchers.Experiments(run) {
				AddReportEntry(name+" "+experiment.Name, experiment)
			}
		}

		Expect(compareOnce(old, unchanged).Judgement).To(Or(Equal(bench.Same), Equal(bench.Inconclusive)))
		row := compareOnce(old, slowed)
		Expect(row.Judgement).To(Equal(bench.Worse), "%+v", row)
		Expect(row.Phases[0].Phase).To(Equal(bench.PhaseCheck), "the phase that was held up comes first")
	}, SpecTimeout(3*time.Minute))

	It("hands what was measured to the report of a spec, every sample of every phase", func(ctx SpecContext) {
		experiments := matchers.Experiments(measureOnce(ctx, nil))
		Expect(experiments).To(HaveLen(1))
		experiment := experiments[0]
		AddReportEntry(experiment.Name, experiment)
		Expect(experiment.Name).To(HavePrefix("Restore/size=1MiB/members=1/"))
		for _, name := range []string{"first-write-after", "fetch", "check", "restore", "elect", "first-write", "agree", "restore CPU"} {
			measurement := experiment.Get(name)
			Expect(measurement.Type).To(Equal(gmeasure.MeasurementTypeDuration), name)
			Expect(measurement.Durations).To(HaveLen(rounds), name)
		}
		Expect(experiment.Get("check rate").Values).To(HaveLen(rounds))
		Expect(experiment.Get("restore peak memory").Units).To(Equal("MiB"))
		if suite.runtime.Name() == string(host.Process) {
			Expect(experiment.Get("members peak memory").Values).To(HaveEach(BeNumerically(">", 10)))
		}
		reports := CurrentSpecReport().ReportEntries
		shown := reports[len(reports)-1].StringRepresentation()
		for _, phase := range []string{"index-rebuild", "restore-log", "restore-sync"} {
			Expect(strings.Contains(shown, phase)).To(BeTrue(), "the entry shows no %s:\n%s", phase, shown)
		}
	}, SpecTimeout(2*time.Minute))

	It("takes no figure from a data set that was changed under it, even where no hash tells", func(ctx SpecContext) {
		cache, warm := newFolder("datasets"), false
		run := measureFrom(ctx, recovery.DBCopy, cache, func(e drill.Event) {
			if e.Name == drill.EventAgreed && !warm { // of the first measurement; the set was found sound before it
				warm = true
				spoilOneByte(cache)
			}
		})
		Expect(run.Samples).To(HaveLen(1 + rounds))
		Expect(run.Samples[0].Failure).To(BeEmpty())
		Expect(run.Samples[1].Failure).To(ContainSubstring("the data set has changed in the cache while it was measured"))
		Expect(run.Complete()).To(BeFalse())
		for _, sample := range run.Samples[2:] { // it was made again
			Expect(sample.Failure).To(BeEmpty())
			Expect(sample.SourceSHA256).To(Equal(run.Samples[0].SourceSHA256))
		}
		Expect(bench.SeriesOf(run, "run").Values).To(HaveEach(HaveKeyWithValue("ns/op", HaveLen(rounds-1))))
	}, SpecTimeout(2*time.Minute))
})

// spoilOneByte changes a byte of a value in the only database of the cache.
func spoilOneByte(cache string) {
	GinkgoHelper()
	found := must(filepath.Glob(filepath.Join(cache, "*.db")))
	Expect(found).To(HaveLen(1))
	content := must(os.ReadFile(found[0]))
	key := bytes.Index(content, []byte("/registry/dataset/"))
	Expect(key).To(BeNumerically(">", 0))
	content[key+200] ^= 1 // a record has its key first, and then a value of a thousand bytes
	Expect(os.WriteFile(found[0], content, 0o600)).To(Succeed())
}

// rounds is how many samples a configuration needs so that anything can be told.
const rounds = 5

// measureOnce measures the smallest restore that there is, with somebody who hears of every moment of it.
func measureOnce(ctx context.Context, heard func(drill.Event)) drill.Benchmark {
	GinkgoHelper()
	return measureFrom(ctx, recovery.SavedSnapshot, newFolder("datasets"), heard)
}

// measureFrom does so from this kind of source, with the data sets of this folder.
func measureFrom(ctx context.Context, kind recovery.Kind, cache string, heard func(drill.Event)) drill.Benchmark {
	GinkgoHelper()
	folder := newFolder("bench")
	disk := must(drill.NewBenchDisk("real", filepath.Dir(folder)))
	return must(drill.Bench(ctx, drill.BenchSpec{
		Sizes: []int64{dataset.MinSizeBytes}, Members: []int{1}, Sources: []recovery.Kind{kind},
		Routes: []drill.BenchRoute{drill.BenchRestore}, Versions: []string{""}, Disks: []drill.BenchDisk{disk},
		PageCaches: []string{bench.Warm}, Data: drill.BenchData{ValueBytes: 1024, Revisions: 1}, WarmUps: 1, Count: rounds,
	}, drill.BenchOptions{
		Options:  drill.Options{Worker: worker(), StateDir: newFolder("state"), Tool: "test", Notify: heard},
		Runtimes: []harness.Runtime{suite.runtime}, Cache: cache, Store: folder + ".jsonl",
	}))
}

func compareOnce(before, after drill.Benchmark) bench.Row {
	GinkgoHelper()
	compared := must(bench.Compare(bench.SeriesOf(before, "old"), bench.SeriesOf(after, "new"), bench.DefaultDemands()))
	Expect(compared.Rows).To(HaveLen(1))
	return compared.Rows[0]
}
