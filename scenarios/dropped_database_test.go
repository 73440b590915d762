package scenarios_test

import (
	"context"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// Somebody copies the database of a dead member into an empty data directory and starts etcd there, without a restore.
var _ = Describe("all killed, and a database dropped in", Label("etcd", "disaster:all-killed"), func() {
	DescribeTable("is refused before a member starts; etcd itself starts on it and takes no write; restored, the same database serves",
		Label("B13", "via:dropped-db", "issue:etcd#10119"),
		func(ctx SpecContext) {
			// Flushed at once: etcd serves on a database that holds nothing yet, and rightly.
			d := rehearse(ctx, drill.Spec{Members: 1, Fault: "kill", Lose: faults.All, Source: recovery.DBCopy, Backup: drill.After},
				"--backend-batch-interval=1ms", "--backend-batch-limit=1")
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			outage := must(d.Strike(ctx, old, faults.Kill(faults.All)))
			Expect(outage).To(HaveLostQuorum())
			must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))
			database := must(d.CopyDB(ctx, down, outage))
			plan := must(d.Plan(database, down, identity.FreshToken()))
			Expect(plan.Source.RestorePoint).To(BeNumerically(">", 100), "the database has hardly been flushed")

			dropped := asRestored(plan, dropIn(database.Path))
			_, err := d.Boot(ctx, dropped)
			Expect(err).To(MatchError(offline.ErrHalfRestored))
			Expect(err).To(MatchError(ContainSubstring("etcd would start on this directory and must not")))

			By("etcd starts on it all the same")
			expectNoService(ctx, old.Site(), dropped)

			By("the same database, restored, serves")
			Expect(clusterIDs(ctx, must(d.Restore(ctx, plan)).Cluster)).To(HaveEach(plan.ClusterID))
		},
		Entry("1 member", Label("size:1"), SpecTimeout(2*time.Minute)),
		Entry("1 member of etcd 3.5", Label("size:1", "version:3.5"), SpecTimeout(2*time.Minute)),
		Entry("1 member of etcd 3.6", Label("size:1", "version:3.6"), SpecTimeout(2*time.Minute)),
	)
})

// dropIn makes a data directory that holds nothing but this database.
func dropIn(database string) string {
	GinkgoHelper()
	dir := GinkgoT().TempDir()
	snap := filepath.Join(dir, "member", "snap")
	Expect(os.MkdirAll(snap, 0o700)).To(Succeed())
	Expect(os.WriteFile(filepath.Join(snap, "db"), must(os.ReadFile(database)), 0o600)).To(Succeed())
	return dir
}

// asRestored passes a directory off as what the restore of the plan's only member has made.
func asRestored(plan recovery.Plan, dir string) offline.Restored {
	return offline.Restored{Plan: plan, Members: []offline.RestoredMember{
		{Name: plan.Members[0].Name, Dir: dir, SHA256: plan.Source.SHA256},
	}}
}

// expectNoService starts etcd on a copy of what was passed off as restored, and wants it to live, and to take no write.
func expectNoService(ctx context.Context, site harness.Site, half offline.Restored) {
	GinkgoHelper()
	name, copied := half.Members[0].Name, filepath.Join(GinkgoT().TempDir(), "copy")
	Expect(os.CopyFS(copied, os.DirFS(half.Members[0].Dir))).To(Succeed())
	cluster := must(harness.Prepare(ctx, site, harness.Birth{Layout: half.Plan.Layout, Generation: 90, Version: half.Plan.Version}))
	member := must(cluster.Member(name))
	Expect(member.Disk().Adopt(ctx, copied)).To(Succeed()) // Prepare would refuse it
	Expect(member.Start(ctx)).To(Succeed())
	Eventually(ctx, func() error { _, err := member.AskAsPeer(ctx, cluster.ID(), ""); return err }).
		WithTimeout(10*time.Second).WithPolling(20*time.Millisecond).Should(Succeed(), "etcd is not up")

	writing, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	Expect(put(writing, member, "half", 1)).NotTo(Succeed(), "a write was acknowledged")
	Expect(member.Endpoint(ctx)).Error().NotTo(HaveOccurred(), "etcd has ended: %s", member.LastLines(ctx, 5))
	Expect(member.Kill(ctx)).Error().NotTo(HaveOccurred())
}
