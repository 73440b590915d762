package e2e

import (
	"encoding/json"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

var _ = Describe("compare", Label("etcd", "cli"), func() {
	It("tries every way that is open on a copy of one disaster, and proves what each loses", func(ctx SpecContext) {
		u := onProcesses() // the seconds of an engine are another matter
		p := u.compare("--members", "3", "--keys", "300", "-w", "json")
		p.ends(ctx, 0, 3*time.Minute)
		var compared drill.Comparison
		Expect(json.Unmarshal(p.Out.Contents(), &compared)).To(Succeed())
		ways := map[string]report.Way{}
		for _, w := range compared.Ways {
			ways[w.Name] = w
			if w.Closed != "" {
				Expect(w.Name).To(BeElementOf("rescue", "replace"))
				delete(ways, w.Name)
				continue
			}
			Expect(w.Verdict.Outcome).To(Equal(verify.Intact), w.Name)
			Expect(w.Verdict.Tally.Acknowledged).To(Equal(compared.Ways[0].Verdict.Tally.Acknowledged), "all are judged against one ledger")
			Expect(w.Agreed).To(BeNumerically(">=", w.FirstWrite), w.Name)
			Expect(filepath.Join(p.out, "routes", w.Name, "verdict.json")).To(BeARegularFile())
		}
		Expect(ways).To(HaveLen(6))
		Expect(ways["restart"].Verdict.Loss.Writes).To(BeZero())
		Expect(ways["snapshot-before"].Verdict.Loss.Writes).To(BeNumerically(">=", 100))
		for name, w := range ways {
			Expect(w.Kept).To(Equal(name == "restart" || name == "force-new-cluster"), name)
		}
		Expect(compared.Recommended).NotTo(Equal("snapshot-before"))
		p.expectNothingLeft(ctx)
	}, SpecTimeout(4*time.Minute))

	It("says which ways a disaster leaves closed, and why", func(ctx SpecContext) {
		u := onProcesses()
		p := u.compare("--members", "1", "--keys", "300", "--lose", "all", "--fault", "wipe")
		p.ends(ctx, 0, time.Minute)
		Expect(string(p.Out.Contents())).To(And(
			ContainSubstring("closed: restart: 0 of 1 members have their data, fewer than a quorum"),
			ContainSubstring("closed: snapshot-after: no survivor to save a snapshot from"),
			ContainSubstring("closed: db: no member has its data"),
			ContainSubstring("closed: force-new-cluster: no member has its data"),
			MatchRegexp(`(?m)^snapshot-before +intact +\d+ writes`), MatchRegexp(`(?m)^recommended: (seed|snapshot-before): `)))
		p.expectNothingLeft(ctx)
	}, SpecTimeout(90*time.Second))

	It("ends with Ctrl-C after cleaning up", func(ctx SpecContext) {
		u := onProcesses()
		p := u.compare("--members", "3", "--keys", "300")
		p.reaches(ctx, drill.EventAllDown)
		p.Interrupt()
		p.ends(ctx, 130, 30*time.Second)
		p.expectNothingLeft(ctx)
		Expect(filepath.Join(p.out, "comparison.json")).To(BeARegularFile())
	}, SpecTimeout(time.Minute))

	It("replaces what is lost where the quorum lives, and rescues what a member without a directory still gives", func(ctx SpecContext) {
		u := onProcesses()
		replaced := u.compare("--members", "3", "--keys", "300", "--lose", "tolerable", "--fault", "wipe")
		rescued := u.compare("--members", "1", "--keys", "300", "--lose", "all", "--fault", "unlink")
		replaced.ends(ctx, 0, 90*time.Second)
		rescued.ends(ctx, 0, 90*time.Second)
		Expect(string(replaced.Out.Contents())).To(And(
			MatchRegexp(`(?m)^replace +intact +0 writes +0 keys +never off +\S+ +kept +goes on$`),
			ContainSubstring("closed: snapshot-before: the quorum lives")))
		Expect(string(rescued.Out.Contents())).To(And(
			MatchRegexp(`(?m)^rescue +intact +\d+ writes`), ContainSubstring("closed: restart: 0 of 1 members have their data")))
		replaced.expectNothingLeft(ctx)
		rescued.expectNothingLeft(ctx)
	}, SpecTimeout(3*time.Minute))

	It("refuses what leaves nothing to compare", func(ctx SpecContext) {
		for reason, args := range map[string][]string{
			"frozen members come back by themselves": {"--fault", "pause"}, "use --lose all": {"--fault", "unlink"},
		} {
			p := newUser().call(append([]string{"compare"}, args...)...)
			p.ends(ctx, 64, 10*time.Second)
			Expect(string(p.Err.Contents())).To(ContainSubstring(reason))
		}
	}, SpecTimeout(20*time.Second))
})

// compare starts a comparison with a new folder.
func (u user) compare(args ...string) *program {
	GinkgoHelper()
	out := newFolder("compared")
	p := u.call(append([]string{"compare", "--out", out}, args...)...)
	p.out = out
	return p
}
