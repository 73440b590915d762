package e2e

import (
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("a job of GitHub", Label("cli", "etcd"), func() {
	It("is told what came of each drill, and the folder has it for other pipelines and for auditors", func(ctx SpecContext) {
		someone := newUser()
		summary, outputs := filepath.Join(someone.home, "summary.md"), filepath.Join(someone.home, "outputs")
		Expect(os.WriteFile(summary, []byte("# before\n"), 0o600)).To(Succeed())
		someone.env = []string{"GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY=" + summary, "GITHUB_OUTPUT=" + outputs}
		p := someone.drill("--source", "db", "--keys", "300", "--rto", "1ms", "-w", "json")
		p.ends(ctx, 1, time.Minute)
		document(p.Out.Contents())

		told := string(p.Err.Contents())
		Expect(told).To(MatchRegexp(`(?m)^::error title=etcd-drill%3A intact%2C target missed::3 members, quorum killed.*MISSED`))
		Expect(string(must(os.ReadFile(summary)))).To(And(HavePrefix("# before\n## etcd-drill: failed\n"), ContainSubstring("❌ **INTACT**")))
		Expect(string(must(os.ReadFile(outputs)))).To(MatchRegexp(`^verdict=intact\nresult=failed\nrto=[0-9.ms]+\nrpo=[0-9.ms]+\nlost=\d+\n$`))
		Expect(string(must(os.ReadFile(filepath.Join(p.out, "junit.xml"))))).To(And(
			ContainSubstring(`failures="1" errors="0"`), ContainSubstring(`name="claim prefix"`), ContainSubstring(`<failure message="rto 1ms: `)))

		attested := document(must(os.ReadFile(filepath.Join(p.out, "evidence.json"))))["attestation"].(map[string]any)
		Expect(attested["drilled"]).To(And(HaveKeyWithValue("kind", "db"), HaveKey("sha256"), HaveKey("sizeBytes"), HaveKey("takenAt")))
		Expect(attested["checks"].(map[string]any)["proved"]).To(ContainElement(HaveKeyWithValue("name", "prefix")))
		Expect(attested).To(And(HaveKeyWithValue("verdict", "intact"), HaveKeyWithValue("result", "failed")))
		again := someone.call("verify", p.out)
		again.ends(ctx, 1, 10*time.Second)
		Expect(string(again.Err.Contents())).To(ContainSubstring("judged again: intact, as stored"))
	}, SpecTimeout(90*time.Second))
})

var _ = Describe("the page of a drill", Label("cli", "etcd"), func() {
	It("lies beside its report, answers the three questions, and is rendered again as it was", func(ctx SpecContext) {
		p := newUser().drill("--source", "db", "--keys", "300", "--rto", "10m")
		p.ends(ctx, 0, time.Minute)
		page := filepath.Join(p.out, "report.html")
		first := must(os.ReadFile(page))
		Expect(string(first)).To(And(
			ContainSubstring(`<strong>INTACT</strong>`), ContainSubstring("rto 10m0s: met"),
			ContainSubstring("Would it come back?"), ContainSubstring("How long?"), ContainSubstring("How much is lost?"),
			ContainSubstring("runs in the new cluster"), ContainSubstring("back, and refused"), ContainSubstring("etcdutl"),
		))
		Expect(must(os.Stat(page)).Mode().Perm()).To(Equal(os.FileMode(0o600)))

		again := p.user.call("report", p.out)
		again.ends(ctx, 0, 10*time.Second)
		Expect(string(again.Out.Contents())).To(Equal(page + "\n"))
		Expect(string(must(os.ReadFile(page)))).To(Equal(string(first)))

		elsewhere := filepath.Join(p.user.home, "page.html")
		p.user.call("report", p.out, "-o", elsewhere).ends(ctx, 0, 10*time.Second)
		Expect(string(must(os.ReadFile(elsewhere)))).To(Equal(string(first)))

		By("a report that was tampered with is refused, and the page stays")
		report := filepath.Join(p.out, "report.json")
		Expect(os.WriteFile(report, []byte(`{"schemaVersion": 1, "verdict": {"outcome": "fine"}}`), 0o600)).To(Succeed())
		refused := p.user.call("report", p.out)
		refused.ends(ctx, 2, 10*time.Second)
		Expect(string(refused.Err.Contents())).To(ContainSubstring(`unknown outcome "fine"`))
		Expect(string(must(os.ReadFile(page)))).To(Equal(string(first)))
		Expect(filepath.Glob(filepath.Join(p.out, ".report*"))).To(BeEmpty())
	}, SpecTimeout(90*time.Second))
})
