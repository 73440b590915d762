package scenarios_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
)

// The quorum is away for a while and comes back with its disks. Whoever restores a backup now throws writes away.
var _ = Describe("transient loss", Label("etcd", "disaster:transient-loss"), func() {
	DescribeTable("the same cluster comes back and has lost nothing",
		func(ctx SpecContext, fault faults.Fault) {
			skipUnlessAble(ctx, fault)
			d := rehearse(ctx, drill.Spec{Members: 3, Fault: fault.Name(), Lose: fault.Target()})

			cluster := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, cluster, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())

			outage := must(d.Strike(ctx, cluster, fault))
			Expect(outage).To(HaveLostQuorum())

			Expect(d.Heal(ctx, outage)).To(Succeed())
			Expect(load.AwaitMore(ctx, 100)).To(Succeed(), "the cluster must go on writing")
			book := must(load.Stop(ctx))
			Expect(clusterIDs(ctx, cluster)).To(HaveEach(cluster.ID()))

			verdict := must(d.VerifyHealed(ctx, drill.Healed{Book: book, Outage: outage, Cluster: cluster}))
			Expect(verdict).To(BeIntact())
			Expect(verdict.Tally.Unknown).To(BeNumerically(">", 0), "the disaster met no call in flight")
			Expect(verdict.Loss.Writes).To(BeZero())
		},
		Entry("2 of 3 members stopped and started again", Label("size:3", "short", "via:restart"), SpecTimeout(3*time.Minute),
			faults.Stop(faults.Quorum)),
		Entry("2 of 3 members frozen and thawed", Label("size:3", "short", "via:thaw"), SpecTimeout(3*time.Minute),
			faults.Pause(faults.Quorum)),
	)
})
