package scenarios_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Every member is told to stop, as when hosts are shut down in order, and none of them will start again. Each has flushed all
// that it had applied.
var _ = Describe("all stopped", Label("etcd", "A4", "disaster:all-stopped"), func() {
	It("the database of a member that was stopped in order costs nothing that it had seen", Label("via:db", "size:3"),
		func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{Members: 3, Fault: "stop", Lose: faults.All, Source: recovery.DBCopy, Backup: drill.After})

			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			book := must(load.Stop(ctx)) // a read in flight would hold a stopping member for seconds
			Expect(settled(ctx, old)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Stop(faults.All)))
			Expect(outage).To(HaveLostQuorum())
			down := must(d.StopAll(ctx, outage))
			database := must(d.CopyDB(ctx, down, outage))

			plan := must(d.Plan(database, down, identity.FreshToken()))
			reborn := must(d.Restore(ctx, plan))
			verdict := must(d.Verify(ctx, drill.Proof{
				Book: book, Source: database, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))
			Expect(verdict).To(BeIntact())
			Expect(verdict.Loss.Writes).To(BeZero())
		}, SpecTimeout(2*time.Minute))
})
