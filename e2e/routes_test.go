package e2e

import (
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("run --route", Label("etcd", "cli"), func() {
	DescribeTable("comes back that way, says what it costs, and leaves its plan and nothing else",
		func(ctx SpecContext, claim, planned string, args ...string) {
			u := onProcesses() // adding members takes etcd its time, which is the same everywhere
			p := u.drill(append([]string{"--members", "3", "--keys", "300"}, args...)...)
			p.ends(ctx, 0, 90*time.Second)
			Expect(string(p.Out.Contents())).To(And(ContainSubstring("INTACT"), ContainSubstring(claim)))
			Expect(string(must(os.ReadFile(filepath.Join(p.out, "plan.txt"))))).To(MatchRegexp(planned))
			p.expectNothingLeft(ctx)
		},
		Entry("force-new-cluster", "was told that it is removed", `--force-new-cluster  # on m\d\n`,
			"--route", "force-new-cluster", SpecTimeout(2*time.Minute)),
		Entry("seed", "as planned", `etcdctl --endpoints \S+ member add m2`,
			"--route", "seed", "--source", "snapshot", SpecTimeout(2*time.Minute)),
		Entry("replace", "still the old cluster", `member remove [0-9a-f]+  # on m\d\n`,
			"--route", "replace", "--fault", "wipe", SpecTimeout(2*time.Minute)),
		Entry("restart", "still the old cluster", `(?s)^etcd --name=m1 .*\netcd --name=m2 .*\netcd --name=m3 `,
			"--route", "restart", "--lose", "all", SpecTimeout(time.Minute)),
		Entry("another size", "back as 1", `^etcdutl snapshot restore .* --initial-cluster m1=\S+:\d+ `,
			"--restore-members", "1", "--source", "snapshot", SpecTimeout(time.Minute)),
	)

	DescribeTable("refuses a way that the disaster closes, and names another", func(ctx SpecContext, reason string, args ...string) {
		p := newUser().call(append([]string{"plan"}, args...)...)
		p.ends(ctx, 64, 10*time.Second)
		Expect(string(p.Err.Contents())).To(ContainSubstring(reason))
		Expect(p.Out.Contents()).To(BeEmpty())
	},
		Entry("an unknown one", `unknown route "tape": choose one of [restore seed`, "--route", "tape", SpecTimeout(20*time.Second)),
		Entry("force without survivors", "use --route restart where their data is left", "--route", "force-new-cluster", "--lose", "all",
			SpecTimeout(20*time.Second)),
		Entry("force with the quorum alive", "use --lose quorum", "--route", "force-new-cluster", "--lose", "1", SpecTimeout(20*time.Second)),
		Entry("replace without a quorum", "the others cannot agree", "--route", "replace", "--lose", "quorum", SpecTimeout(20*time.Second)),
		Entry("restart without data", "use --fault kill or stop", "--route", "restart", "--fault", "wipe", SpecTimeout(20*time.Second)),
		Entry("another size of what is kept", "keeps the members that there are", "--route", "restart", "--restore-members", "5",
			SpecTimeout(20*time.Second)),
		Entry("too many to restore", "1 to 9", "--restore-members", "10", SpecTimeout(20*time.Second)),
	)
})
