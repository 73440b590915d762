package scenarios_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// One member lost its disk and somebody restores it alone, from a snapshot, into the cluster that lives.
var _ = Describe("one member restored into the living cluster",
	Label("etcd", "B5", "issue:etcd#9096", "issue:etcd#20269", "disaster:one-wiped"), func() {
		It("is refused under the token of that cluster", Label("via:plan-with-the-same-token", "size:3"), func(ctx SpecContext) {
			_, cluster, _, snapshot := oneWiped(ctx, false)
			_, err := recovery.NewPlan(snapshot, cluster.Layout(), cluster.Layout().Token)
			Expect(err).To(MatchError(recovery.ErrTokenReused))
		}, SpecTimeout(time.Minute))

		It("ends with a panic where the leader remembers more of it than its new log holds",
			Label("via:forced-as-follower", "size:3"), func(ctx SpecContext) {
				d, cluster, victim, snapshot := oneWiped(ctx, false)
				startRestored(ctx, d, victim, cluster.Layout(), snapshot)
				exit := must(victim.Wait(ctx))
				Expect(exit.Code).NotTo(BeZero())
				// raft, log.go, commitTo
				Expect(must(victim.Said(ctx, "is out of range [lastIndex("))).NotTo(BeEmpty(), victim.LastLines(ctx, 5))
			}, SpecTimeout(2*time.Minute))

		It("joins in silence where a new leader knows nothing of it, applies the whole log once more, and is found by revision and hash",
			Label("via:forced-as-leader", "size:3"), func(ctx SpecContext) {
				d, cluster, victim, snapshot := oneWiped(ctx, true)
				startRestored(ctx, d, victim, cluster.Layout(), snapshot)
				Expect(victim.AwaitReady(ctx, cluster.ID(), time.Minute)).To(Succeed(), "etcd sees nothing wrong with it")
				truth := must(drill.LineageOf(ctx, others(cluster, victim)[0]))
				Expect(truth.Continues(ctx, others(cluster, victim)[1])).To(Succeed())
				Expect(truth.Continues(ctx, victim)).To(MatchError(drill.ErrTwoLineages))
			}, SpecTimeout(2*time.Minute))

		It("is not let in under a fresh token, stays without a leader, and changes nobody",
			Label("via:forced-with-a-fresh-token", "size:3"), func(ctx SpecContext) {
				d, cluster, victim, snapshot := oneWiped(ctx, false)
				before := must(drill.LineageOf(ctx, others(cluster, victim)[0]))

				fresh := harness.Layout{Token: identity.FreshToken(), Seats: cluster.Layout().Seats}
				startRestored(ctx, d, victim, fresh, snapshot)
				Expect(victim.AwaitReady(ctx, fresh.ClusterID(), 5*time.Second)).NotTo(Succeed(), "it must not serve anybody")
				Expect(must(victim.Said(ctx, "cluster ID mismatch"))).NotTo(BeEmpty(), "etcd, rafthttp/stream.go")
				for _, m := range others(cluster, victim) {
					Expect(before.Continues(ctx, m)).To(Succeed())
				}
			}, SpecTimeout(2*time.Minute))
	})

// oneWiped brings a cluster of three to the point where one member, the leader or another, has nothing and the others live.
func oneWiped(ctx SpecContext, leader bool) (*drill.Drill, *harness.Cluster, *harness.Member, recovery.Source) {
	GinkgoHelper()
	d := rehearse(ctx, drill.Spec{Members: 3, Fault: "wipe", Lose: faults.Tolerable, Route: recovery.RouteReplace})
	cluster := must(d.Start(ctx))
	load := must(d.StartLoad(ctx, cluster, drill.Mixed))
	Expect(load.AwaitFilled(ctx)).To(Succeed())
	snapshot := must(d.Backup(ctx, cluster))
	Expect(load.AwaitMore(ctx, 100)).To(Succeed())
	must(load.Stop(ctx))
	var victim *harness.Member
	for _, m := range cluster.Members() {
		if (leaderOf(ctx, m) == m.ID()) == leader {
			victim = m
		}
	}
	must(victim.Kill(ctx))
	Expect(victim.Disk().Erase(ctx)).To(Succeed())
	for _, m := range others(cluster, victim) {
		Expect(m.AwaitReady(ctx, cluster.ID(), time.Minute)).To(Succeed(), "the quorum lives")
	}
	return d, cluster, victim, snapshot
}

func leaderOf(ctx context.Context, m *harness.Member) identity.MemberID {
	GinkgoHelper()
	probe := must(m.Probe(ctx))
	defer probe.Close()
	return must(probe.Health(ctx)).Leader
}

func others(cluster *harness.Cluster, than *harness.Member) []*harness.Member {
	return slices.DeleteFunc(cluster.Members(), func(m *harness.Member) bool { return m == than })
}

// startRestored restores the cluster's members under this token, past the guard, and starts one of them alone on the result.
func startRestored(ctx context.Context, d *drill.Drill, m *harness.Member, layout harness.Layout, from recovery.Source) {
	GinkgoHelper()
	unguarded := layout
	unguarded.Token = identity.FreshToken()
	plan := must(recovery.NewPlan(from, unguarded, identity.FreshToken()))
	plan.Layout, plan.ClusterID = layout, layout.ClusterID()
	for i, seat := range layout.Seats {
		plan.Members[i].MemberID = layout.MemberID(seat)
	}
	scratch := filepath.Join(d.Folder(), "work", "unguarded")
	Expect(os.Mkdir(scratch, 0o700)).To(Succeed())
	restored := must(offline.Restore(ctx, suite.worker(), plan, scratch))
	Expect(m.Disk().Adopt(ctx, restored.Dirs()[m.Name()])).To(Succeed())
	Expect(m.Start(ctx)).To(Succeed())
}
