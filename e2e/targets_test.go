package e2e

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("targets", Label("cli", "etcd"), func() {
	It("are missed by a recovery that takes longer, although the data is intact", func(ctx SpecContext) {
		p := newUser().drill("--source", "db", "--keys", "300", "--rto", "1ms", "--max-lost", "1000000", "-w", "json")
		p.ends(ctx, 1, time.Minute)
		drill := document(p.Out.Contents())["drills"].([]any)[0].(map[string]any)
		Expect(drill["verdict"]).To(HaveKeyWithValue("outcome", "intact"))
		Expect(drill["targets"]).To(HaveExactElements(
			And(HaveKeyWithValue("name", "rto"), HaveKeyWithValue("wanted", 1e6), HaveKeyWithValue("met", false), HaveKey("measured")),
			And(HaveKeyWithValue("name", "max-lost"), HaveKeyWithValue("met", true)),
		))
		again := p.user.call("verify", p.out)
		again.ends(ctx, 1, 10*time.Second)
		Expect(string(again.Out.Contents())).To(MatchRegexp(`targets +rto 1ms: .*, MISSED; max-lost 1000000: \d+, met`))
	}, SpecTimeout(90*time.Second))

	It("are not measured, and so not met, where the quorum is never lost", func(ctx SpecContext) {
		p := newUser().drill("--route", "replace", "--keys", "300", "--rto", "10m")
		p.ends(ctx, 2, 90*time.Second)
		Expect(string(p.Out.Contents())).To(And(
			ContainSubstring(" targets  rto 10m0s: not measured, the quorum was never lost"), MatchRegexp(`(?m)^ INTACT `)))
	}, SpecTimeout(2*time.Minute))
})
