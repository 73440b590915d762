package e2e

import (
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("the page of a drill", Label("cli", "etcd"), func() {
	It("lies beside its report, answers the three questions, and is rendered again as it was", func(ctx SpecContext) {
		p := newUser().drill("--lose", "all", "--source", "db", "--keys", "300", "--rto", "10m")
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
