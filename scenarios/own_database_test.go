package scenarios_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// Every member is restored from its own database, as if each knew best. etcd writes all of them the same new log and never
// notices that what lies under it differs.
var _ = Describe("all killed, and every member restored from its own database", Label("etcd", "disaster:all-killed"), func() {
	It("is refused, and the one database that loses least is named for all",
		Label("A5", "via:own-dbs", "size:3", "issue:etcd#14668"), func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{Members: 3, Fault: "kill", Lose: faults.All, Source: recovery.DBCopy, Backup: drill.After},
				"--backend-batch-interval=1h", "--backend-batch-limit=1000000") // so that each stays where it was flushed last
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			for _, m := range old.Members() {
				Expect(flushMember(ctx, m)).To(Succeed())
				// Each of 32 workers may be told only now of a write that was flushed, and some writes own no revision.
				Expect(load.AwaitMore(ctx, 150)).To(Succeed())
			}
			outage := must(d.Strike(ctx, old, faults.Kill(faults.All)))
			Expect(outage).To(HaveLostQuorum())
			must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))

			plan, mixed := restoreEachFromItsOwn(ctx, d, down)
			_, err := d.Boot(ctx, mixed)
			Expect(err).To(MatchError(offline.ErrMixedSources))
			for _, m := range mixed.Members[:2] {
				Expect(err).To(MatchError(ContainSubstring("member " + m.Name)))
			}
			Expect(clusterIDs(ctx, must(d.Restore(ctx, plan)).Cluster)).To(HaveEach(plan.ClusterID), "all from the best one")
		}, SpecTimeout(2*time.Minute))
})

// restoreEachFromItsOwn returns a plan that restores all members from the best of their databases, and what comes of following
// it with each member's own instead. What becomes of a cluster that is started so is tried in e2e.
func restoreEachFromItsOwn(ctx context.Context, d *drill.Drill, down *drill.Down) (recovery.Plan, offline.Restored) {
	GinkgoHelper()
	var found []recovery.Inspection
	var sources []recovery.Source
	for _, m := range down.Cluster.Members() {
		path := filepath.Join(GinkgoT().TempDir(), m.Name()+".db")
		must(fetch.Copy(ctx, m.Disk(), path))
		found = append(found, must(offline.Inspect(ctx, suite.worker(), path)))
		sources = append(sources, must(offline.Check(ctx, suite.worker(), recovery.DBCopy, path)))
	}
	choice := must(recovery.Rank(found))
	Expect(choice.Best.Path).To(Equal(sources[2].Path), "the one that was flushed last")
	Expect(choice.Others).To(HaveLen(2))
	for i, other := range choice.Others {
		own := sources[1-i]
		Expect(other).To(And(HaveField("Path", own.Path), HaveField("Loses", sources[2].RestorePoint-own.RestorePoint)))
		Expect(other.Loses).To(BeNumerically(">=", 50*(i+1)), "revisions")
	}
	Expect(choice.Because).To(ContainElement(fmt.Sprintf(
		"restore every member from %s, with --skip-hash-check, and from nothing else: etcd does not notice members whose databases differ",
		choice.Best.Database)))

	plan := must(d.Plan(sources[2], down, identity.FreshToken()))
	mixed := offline.Restored{Plan: plan}
	for i, own := range sources {
		wrong, scratch := plan, filepath.Join(GinkgoT().TempDir(), "own")
		wrong.Source = own
		Expect(os.Mkdir(scratch, 0o700)).To(Succeed())
		mixed.Members = append(mixed.Members, must(offline.Restore(ctx, suite.worker(), wrong, scratch)).Members[i])
	}
	return plan, mixed
}
