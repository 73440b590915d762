package scenarios_test

import (
	"context"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Somebody deletes the data directory on the wrong machine. etcd goes on with the files that it has open, and all is well until
// it writes its next raft snapshot or is started again: whoever notices in time can still save a snapshot.
var _ = Describe("directory deleted", Label("etcd", "B11", "issue:bbolt#1057", "disaster:directory-deleted"), func() {
	DescribeTable("a snapshot saved from the member that lost its directory restores every write up to its restore point",
		Label("via:rescue"),
		func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{
				Members: 1, Fault: "kill", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before,
			}, "--snapshot-count=1000000") // a member without a directory ends when it writes its next raft snapshot
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())

			deletion := must(d.Strike(ctx, old, faults.Unlink(faults.All)))
			Expect(deletion).To(HaveKeptQuorum())
			Expect(deletion.Heal(ctx)).To(MatchError(faults.ErrIrreversible))
			Expect(load.AwaitMore(ctx, 100)).To(Succeed(), "nothing shows yet")
			rescued := must(d.Backup(ctx, old))
			Expect(load.AwaitMore(ctx, 100)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Kill(faults.All)))
			Expect(outage).To(HaveLostQuorum())
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))
			_, err := d.CopyDB(ctx, down, outage)
			Expect(err).To(HaveOccurred(), "nothing is left to copy")

			plan := must(d.Plan(rescued, down, identity.FreshToken()))
			reborn := must(d.Restore(ctx, plan))
			Expect(must(d.Verify(ctx, drill.Proof{
				Book: book, Source: rescued, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))).To(BeIntact())
		},
		Entry("1 member", Label("size:1"), SpecTimeout(2*time.Minute)),
		Entry("1 member of etcd 3.6", Label("size:1", "version:3.6", "full"), SpecTimeout(2*time.Minute)),
		Entry("1 member of etcd 3.5", Label("size:1", "version:3.5", "full"), SpecTimeout(2*time.Minute)),
	)

	It("the time for a rescue is over when the member writes its next raft snapshot: it ends", Label("via:nothing-in-time", "size:1"),
		func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{
				Members: 1, Fault: "kill", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before,
			}, "--snapshot-count=5000") // one is written for every so many writes, 10000 by default
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			must(d.Strike(ctx, old, faults.Unlink(faults.All)))

			victim := old.Members()[0]
			exit := must(victim.Wait(ctx))
			Expect(exit.Code).NotTo(BeZero())
			Expect(victim.LastLines(ctx, 1)).To(ContainSubstring("failed to save snapshot"))
			must(load.Stop(ctx))
		}, SpecTimeout(time.Minute))

	// These releases open the database by its name again to send it, and then wait for ever (etcd-io/bbolt 1057).
	DescribeTable("a save that hangs is given up at its deadline, leaves nothing, and the member goes on",
		Label("issue:etcd#10298", "issue:etcd#13166", "issue:talos#14212", "via:hanging-save", "full"),
		func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{
				Members: 1, Fault: "kill", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before,
			}, "--snapshot-count=1000000") // a member without a directory ends when it writes its next raft snapshot
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			must(d.Strike(ctx, old, faults.Unlink(faults.All)))

			asked, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			_, err := d.Backup(asked, old)
			Expect(err).To(MatchError(context.DeadlineExceeded))
			Expect(must(filepath.Glob(filepath.Join(d.Folder(), "source", "*")))).To(BeEmpty(), "half a snapshot")
			Expect(load.AwaitMore(ctx, 10)).To(Succeed())
			must(load.Stop(ctx))
		},
		Entry("1 member of etcd 3.6.0", Label("size:1", "version:3.6.0"), SpecTimeout(2*time.Minute)),
		Entry("1 member of etcd 3.5.21", Label("size:1", "version:3.5.21"), SpecTimeout(2*time.Minute)),
	)
})
