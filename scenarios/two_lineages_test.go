package scenarios_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// A survivor was forced to go on alone and is down for a moment, when the others come back: they have a quorum, and the same
// cluster ID. Each side takes writes that the other has never seen.
var _ = Describe("two lineages", Label("etcd", "disaster:forced-then-old-majority"), func() {
	It("are told apart by revision and hash, since the cluster ID does not, and the writes of the old one are gone",
		Label("B7", "via:force-new-cluster", "size:3"), func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{Members: 3, Fault: "kill", Lose: faults.Quorum, Route: recovery.RouteForce})
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			outage := must(d.Strike(ctx, old, faults.Kill(faults.Quorum)))
			Expect(outage).To(HaveLostQuorum())
			survivor := must(d.BestSurvivor(ctx, outage))
			must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))

			plan := must(d.PlanForce(down, survivor.Name()))
			plan.Joining, plan.Steps = nil, firstSteps(plan.Steps, recovery.DoErase) // it stays alone
			alone := must(d.Follow(ctx, plan, old))
			forced := must(alone.Member(survivor.Name()))
			Expect(put(ctx, forced, "forced", 100)).To(Succeed()) // more than the load had in flight
			lineage := must(drill.LineageOf(ctx, forced))
			must(forced.Stop(ctx, 30*time.Second))

			By("the old majority comes back while the forced member is down")
			for _, name := range outage.Victims {
				Expect(must(old.Member(name)).Start(ctx)).To(Succeed())
			}
			returned := must(old.Member(outage.Victims[0]))
			Expect(returned.AwaitReady(ctx, old.ID(), time.Minute)).To(Succeed(), "it is healthy, under the same ID")
			Expect(must(drill.LineageOf(ctx, returned)).Revision).To(BeNumerically("<", lineage.Revision))
			Expect(lineage.Continues(ctx, returned)).To(MatchError(drill.ErrTwoLineages), "by its revision, while its writes are few")
			Expect(put(ctx, returned, "old", 200)).To(Succeed())
			Expect(must(drill.LineageOf(ctx, returned)).Revision).To(BeNumerically(">", lineage.Revision))
			Expect(lineage.Continues(ctx, returned)).To(MatchError(drill.ErrTwoLineages), "by its hash, however many its writes are")

			By("the forced member returns, and the others are told that they were removed")
			Expect(forced.Start(ctx)).To(Succeed())
			for _, name := range outage.Victims {
				Expect(must(old.Member(name)).Wait(ctx)).Error().NotTo(HaveOccurred())
				Expect(must(must(old.Member(name)).Said(ctx, harness.RemovedNotice))).NotTo(BeEmpty())
			}
			Expect(forced.AwaitReady(ctx, old.ID(), time.Minute)).To(Succeed())
			Expect(lineage.Continues(ctx, forced)).To(Succeed())
			Expect(count(ctx, forced, "old")).To(BeZero(), "writes that the old majority acknowledged are gone")
		}, SpecTimeout(3*time.Minute))
})

// firstSteps are those before the first of this kind.
func firstSteps(steps []recovery.Step, before recovery.Verb) []recovery.Step {
	for i, step := range steps {
		if step.Do == before {
			return steps[:i]
		}
	}
	return steps
}

// put writes n keys below the prefix through this member.
func put(ctx context.Context, m *harness.Member, prefix string, n int) error {
	probe, err := m.Probe(ctx)
	if err != nil {
		return err
	}
	defer probe.Close()
	for i := range n {
		if _, err := probe.Client().Put(ctx, prefix+"/"+string(rune('a'+i)), prefix); err != nil {
			return err
		}
	}
	return nil
}

// count returns how many keys below the prefix this member shows.
func count(ctx context.Context, m *harness.Member, prefix string) int64 {
	GinkgoHelper()
	probe := must(m.Probe(ctx))
	defer probe.Close()
	return must(probe.Client().Get(ctx, prefix+"/", clientv3.WithPrefix(), clientv3.WithCountOnly(), clientv3.WithSerializable())).Count
}
