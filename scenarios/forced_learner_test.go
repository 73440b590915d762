package scenarios_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// A learner was there when the quorum died. It has no vote, and must not stay in the cluster of the survivor that goes on alone.
var _ = Describe("quorum killed beside a learner", Label("etcd", "disaster:quorum-killed-beside-a-learner"), func() {
	It("a survivor that is forced to go on alone is alone, under the ID that it had",
		Label("B6", "issue:etcd#12285", "issue:etcd#20893", "issue:etcd#20055", "via:force-new-cluster", "size:3"), func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{Members: 3, Fault: "kill", Lose: faults.Quorum, Route: recovery.RouteForce}, "--snapshot-count=100")
			voters := must(d.Start(ctx))
			seats := must(harness.NewLayout(voters.Site(), 4, "")).Seats
			whole := must(voters.Add(ctx, harness.Addition{
				Seat: seats[3], Via: "m1", Learner: true, Generation: 1, Within: time.Minute,
			}))
			learner := must(whole.Member("m4"))
			Expect(learner.Start(ctx)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { _, _ = learner.Kill(ctx) }, NodeTimeout(time.Minute)) // it may be down already
			probe := must(learner.AwaitLed(ctx, time.Minute))
			probe.Close()
			load := must(d.StartLoad(ctx, voters, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())

			outage := must(d.Strike(ctx, voters, faults.Kill(faults.Quorum)))
			Expect(outage).To(HaveLostQuorum())
			survivor := must(d.BestSurvivor(ctx, outage))
			must(load.Stop(ctx))
			must(learner.Kill(ctx))
			down := must(d.StopAll(ctx, outage))

			plan := must(d.PlanForce(down, survivor.Name()))
			plan.Joining, plan.Steps = nil, firstSteps(plan.Steps, recovery.DoErase) // it stays alone
			alone := must(d.Follow(ctx, plan, voters))
			Expect(alone.ID()).To(Equal(voters.ID()))
			Expect(memberNames(ctx, must(alone.Member(survivor.Name())))).To(ConsistOf(survivor.Name()))
		}, SpecTimeout(2*time.Minute))
})

// memberNames asks the member who belongs to its cluster.
func memberNames(ctx context.Context, m *harness.Member) []string {
	GinkgoHelper()
	probe := must(m.Probe(ctx))
	defer probe.Close()
	var names []string
	for _, one := range must(probe.Client().MemberList(ctx)).Members {
		names = append(names, one.Name)
	}
	return names
}
