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
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// A member has joined and has no vote yet. All members are killed, and the only snapshot was saved from that learner.
var _ = Describe("all killed, one a learner", Label("etcd", "B17", "disaster:all-killed-learner"), func() {
	It("a snapshot of a learner restores every write, all members have a vote, and a new learner can join and be promoted",
		Label("via:snapshot", "size:3", "issue:etcd#19557", "issue:etcd#20793"), func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{
				Members: 2, Fault: "kill", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before,
			})
			voters := must(d.Start(ctx))
			old := must(d.AddLearner(ctx, voters, "m3"))
			Expect(learners(ctx, old)).To(ConsistOf("m3"))
			load := must(d.StartLoad(ctx, voters, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			snapshot := must(d.BackupFrom(ctx, must(old.Member("m3"))))
			Expect(snapshot.Member).To(Equal("m3"))
			Expect(load.AwaitMore(ctx, 100)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Kill(faults.All)))
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))
			plan := must(d.Plan(snapshot, down, identity.FreshToken()))
			reborn := must(d.Restore(ctx, plan))
			Expect(reborn.Layout().Names()).To(ConsistOf("m1", "m2", "m3"), "the learner comes back, too")
			Expect(learners(ctx, reborn.Cluster)).To(BeEmpty(), "a restore knows voters only")
			Expect(must(d.Verify(ctx, drill.Proof{
				Book: book, Source: snapshot, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))).To(BeIntact())

			grown := must(d.AddLearner(ctx, reborn.Cluster, "m4"))
			Expect(learners(ctx, grown)).To(ConsistOf("m4"))
			Expect(d.Promote(ctx, grown, "m4")).To(Succeed())
			Expect(learners(ctx, grown)).To(BeEmpty())
			Expect(grown.AwaitReady(ctx, time.Minute)).To(Succeed())
			Expect(put(ctx, must(grown.Member("m4")), "promoted", 1)).To(Succeed())
			Expect(settled(ctx, grown)).To(Succeed(), "the others learn of that write a little later")
			shown := hashes(ctx, grown, reborn.Canary.Revision)
			Expect(shown).To(HaveEach(shown[0]))
		}, SpecTimeout(3*time.Minute))
})

// learners names the members without a vote, as the first member lists them. A learner lists nobody (api/v3rpc/interceptor.go).
func learners(ctx context.Context, cluster *harness.Cluster) (names []string) {
	GinkgoHelper()
	probe := must(cluster.Members()[0].Probe(ctx))
	defer probe.Close()
	list := must(probe.Client().MemberList(ctx))
	Expect(list.Members).To(HaveLen(cluster.Size()))
	for _, member := range list.Members {
		if member.IsLearner {
			names = append(names, member.Name)
		}
	}
	return names
}
