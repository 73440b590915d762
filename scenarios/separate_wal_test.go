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

// Members keep their write-ahead log apart, and so must what is restored for them. Who forgets the flag at the start gets a
// new log, and no word of it.
var _ = Describe("all killed, separate WAL", Label("etcd", "C5", "disaster:all-killed-separate-wal"), func() {
	DescribeTable("the log is restored where the members look for it, and every write up to the restore point with it",
		func(ctx SpecContext, size int) {
			d, proof := restoredApart(ctx, size)
			proof.Reborn = must(d.Boot(ctx, must(d.Rebuild(ctx, proof.Plan))))
			Expect(must(d.Verify(ctx, proof))).To(BeIntact())
		},
		Entry("3 members", Label("via:snapshot", "size:3"), SpecTimeout(3*time.Minute), 3),
		Entry("1 member of etcd 3.5, restored by its own etcdutl", Label("via:snapshot", "size:1", "version:3.5"), SpecTimeout(2*time.Minute), 1),
	)

	It("a start that forgets where the log is is refused, and so is one that looks for it apart in vain; nothing is lost by it",
		Label("via:forgotten-flag", "size:1"), func(ctx SpecContext) {
			d, proof := restoredApart(ctx, 1)
			restored := must(d.Rebuild(ctx, proof.Plan))
			birth := harness.Birth{Layout: proof.Plan.Layout, Generation: 7, Dirs: restored.Dirs()}
			_, err := harness.Prepare(ctx, proof.Down.Cluster.Site(), birth)
			Expect(err).To(And(MatchError(harness.ErrNoLog), MatchError(ContainSubstring("the log is in "+harness.WALName))))
			birth.SeparateWAL, birth.Args = true, []string{"--wal-dir=elsewhere"}
			_, err = harness.Prepare(ctx, proof.Down.Cluster.Site(), birth)
			Expect(err).To(MatchError(harness.ErrNoLog))

			proof.Reborn = must(d.Boot(ctx, restored)) // the same directory, with the right flag
			Expect(must(d.Verify(ctx, proof))).To(BeIntact())
		}, SpecTimeout(2*time.Minute))

	It("without that guard etcd begins a new log in silence, and under its old flags the member is one of the lost cluster again",
		Label("issue:etcd#9109", "via:forgotten-flag-unguarded", "size:1"), func(ctx SpecContext) {
			d, proof := restoredApart(ctx, 1)
			restored := must(d.Rebuild(ctx, proof.Plan))
			lost := proof.Down.Cluster
			seat := lost.Layout().Seats[0]
			forgot := startByHand(ctx, lost, restored.Dirs()[seat.Name], harness.Flags(lost.Layout(), seat, must(lost.Site().Place(seat.Name))))

			Expect(proof.Plan.ClusterID).NotTo(Equal(lost.ID()), "what the restore wrote into the log that nobody reads")
			Expect(readsFrom(ctx, forgot)).To(And(
				HaveField("Cluster", lost.ID()),
				HaveField("Revision", proof.Source.RestorePoint), // the data is all there, and nothing looks wrong
			))
		}, SpecTimeout(2*time.Minute))
})

// restoredApart loses a whole cluster whose members keep their logs apart, and plans its restore from a snapshot.
func restoredApart(ctx SpecContext, size int) (*drill.Drill, drill.Proof) {
	GinkgoHelper()
	d := rehearse(ctx, drill.Spec{
		Members: size, Fault: "kill", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before, SeparateWAL: true,
	})
	old := must(d.Start(ctx))
	load := must(d.StartLoad(ctx, old, drill.Mixed))
	Expect(load.AwaitFilled(ctx)).To(Succeed())
	proof := drill.Proof{Source: must(d.Backup(ctx, old))}
	Expect(load.AwaitMore(ctx, 100)).To(Succeed())
	proof.Outage = must(d.Strike(ctx, old, faults.Kill(faults.All)))
	proof.Book = must(load.Stop(ctx))
	proof.Down = must(d.StopAll(ctx, proof.Outage))
	proof.Plan = must(d.Plan(proof.Source, proof.Down, identity.FreshToken()))
	return d, proof
}

// startByHand starts etcd on a prepared directory with these flags, past all guards.
func startByHand(ctx SpecContext, lost *harness.Cluster, dir string, flags []string) harness.Node {
	GinkgoHelper()
	seat := lost.Layout().Seats[0]
	disk := must(lost.Site().NewDisk(ctx, "by-hand"))
	Expect(disk.Adopt(ctx, dir)).To(Succeed())
	node := must(lost.Site().NewNode(ctx, harness.NodeSpec{
		Name: "by-hand", Hostname: seat.Name, Disk: disk, Args: flags, Version: lost.Members()[0].Version(),
	}))
	Expect(node.Start(ctx)).To(Succeed())
	return node
}

// readsFrom returns what the node's etcd says of itself once it answers linearizable reads.
func readsFrom(ctx SpecContext, node harness.Node) harness.Reading {
	GinkgoHelper()
	client := must(harness.Dial(must(node.Endpoint(ctx)).Client, harness.Access{}))
	defer client.Close() //nolint:errcheck // every call has been answered by then
	var reading harness.Reading
	Eventually(func(g Gomega) {
		bounded, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		response, err := client.Get(bounded, "any")
		g.Expect(err).NotTo(HaveOccurred())
		reading = harness.Reading{
			Cluster: identity.ClusterID(response.Header.ClusterId), Member: identity.MemberID(response.Header.MemberId),
			Revision: response.Header.Revision,
		}
	}).WithContext(ctx).WithTimeout(30 * time.Second).Should(Succeed())
	return reading
}
