package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/perf/benchfmt"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/internal/bench"
)

var _ = Describe("a benchmark", Label("bench", "etcd"), func() {
	It("keeps what it measured when it is interrupted, goes on with it, and leaves nothing else", func(ctx SpecContext) {
		u := newUser()
		disk, store := filepath.Join(u.home, "disk"), filepath.Join(u.home, "bench.jsonl")
		Expect(os.Mkdir(disk, 0o700)).To(Succeed())
		first := u.call("bench", "--sizes", "1MiB", "--members", "1", "--route", "restore,force-new-cluster", "--source", "snapshot",
			"--count", "2", "--warm-up", "0", "--disk", disk, "--out", store)
		Eventually(ctx, func() int { return measured(store) }).WithTimeout(30 * time.Second).Should(BeNumerically(">=", 1))
		first.Interrupt()
		first.ends(ctx, 130, 20*time.Second)
		kept := must(drill.ReadBench(store))
		Expect(kept.Complete()).To(BeFalse())
		Expect(results(first)).To(HaveLen(len(kept.Samples)))
		Expect(string(first.Err.Contents())).To(ContainSubstring("go on with: etcd-drill bench --resume " + store))
		Expect(must(os.ReadDir(disk))).To(BeEmpty())

		second := u.call("bench", "--resume", store)
		second.ends(ctx, 0, time.Minute)
		whole := must(drill.ReadBench(store))
		Expect(whole.Complete()).To(BeTrue())
		Expect(whole.Samples[:len(kept.Samples)]).To(Equal(kept.Samples))
		Expect(must(os.ReadDir(disk))).To(BeEmpty())
		for _, result := range results(second) {
			Expect(unitsOf(result)).To(ContainElements("sec/op", "B/s", "elect-sec", "first-write-sec", "agree-sec", "index-rebuild-sec"))
		}
		expectPhasesToAddUp(whole)
	}, SpecTimeout(2*time.Minute))

	It("says before it begins what does not fit, with the bytes", func(ctx SpecContext) {
		u := newUser()
		p := u.call("bench", "--sizes", "64GiB", "--members", "9", "--disk", u.home, "--out", filepath.Join(u.home, "bench.jsonl"))
		p.ends(ctx, 2, 30*time.Second)
		Expect(string(p.Err.Contents())).To(MatchRegexp(`too little free space: .*[0-9]{11,}`))
		Expect(filepath.Join(u.home, "bench.jsonl")).NotTo(BeAnExistingFile())
	}, SpecTimeout(time.Minute))
})

// measured counts the measurements in a file that is being written.
func measured(store string) int {
	text, _ := os.ReadFile(store) // it may not be there yet
	return bytes.Count(text, []byte("\n")) - 1
}

// results reads what a call printed as benchstat does.
func results(p *program) (all []*benchfmt.Result) {
	GinkgoHelper()
	reader := benchfmt.NewReader(bytes.NewReader(p.Out.Contents()), "standard output")
	for reader.Scan() {
		result, ok := reader.Result().(*benchfmt.Result)
		Expect(ok).To(BeTrue(), "%v", reader.Result())
		all = append(all, result.Clone())
	}
	Expect(reader.Err()).NotTo(HaveOccurred())
	return all
}

func unitsOf(result *benchfmt.Result) (units []string) {
	for _, value := range result.Values {
		units = append(units, value.Unit)
	}
	return units
}

// expectPhasesToAddUp wants the phases up to the first write to be all of the time, but for moments between them.
func expectPhasesToAddUp(run bench.Run) {
	GinkgoHelper()
	for _, sample := range run.Samples {
		var sum time.Duration
		for _, phase := range sample.Phases {
			switch phase.Name {
			case bench.PhaseFetch, bench.PhaseCheck, bench.PhaseRestore, bench.PhasePlace, bench.PhaseStart, bench.PhaseElect,
				bench.PhaseFirstRead, bench.PhaseFirstWrite:
				sum += phase.Took
			}
		}
		Expect(sum).To(BeNumerically("<=", sample.Total))
		Expect(sum).To(BeNumerically(">", sample.Total*9/10), "%+v", sample)
	}
}
