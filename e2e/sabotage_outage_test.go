package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// The recovery goes through and its result is right; only there was nothing to recover from.
var _ = DescribeTable("a drill whose disaster left the quorum is inconclusive, and names who answered, when it killed",
	Label("etcd", "sabotage"),
	func(ctx SpecContext, lose faults.Target) {
		s := strike(ctx, small(lose, recovery.SavedSnapshot, drill.After), readyWithin)
		Expect(s.proof.Outage.LostQuorum()).To(BeFalse())

		verdict := s.finish(ctx, s.rebuild(ctx))

		Expect(verdict).To(find(verify.Inconclusive, charge{
			kind: verify.NoDisaster, reason: "the loss of quorum was not proved: " + s.proof.Outage.Proof.Reason,
		}))
		Expect(s.proof.Outage.Proof.Reason).To(MatchRegexp(`^m[1-3] answered a linearizable read .* after the fault took effect$`))
		Expect(verdict.Findings).NotTo(ContainElement(HaveField("Outcome", verify.Damaged)))
	},
	Entry("only the leader", faults.Leader, SpecTimeout(drillWithin)),
	Entry("one member too few", faults.Count(1), SpecTimeout(drillWithin)),
)
