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
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// A cluster of etcd 3.5 has had members come and go. What 3.5 forgot to write down about them haunts whoever upgrades it: removed
// members that are back, voters that are learners again. A restore starts from the plan and from nothing else.
var _ = Describe("churned members", Label("etcd", "C11", "disaster:all-killed-after-churn", "full"), func() {
	DescribeTable("the restored cluster has exactly the members of the plan, all with a vote, and takes in another",
		Label("issue:etcd#20967", "issue:etcd#13196", "issue:k3s#13485", "issue:etcd#19557", "issue:etcd#20793", "via:snapshot", "size:3"),
		func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{
				Members: 3, Fault: "kill", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before,
			})
			old := churn(ctx, must(d.Start(ctx)))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			snapshot := must(d.Backup(ctx, old))
			Expect(load.AwaitMore(ctx, 100)).To(Succeed())
			outage := must(d.Strike(ctx, old, faults.Kill(faults.All)))
			Expect(outage).To(HaveLostQuorum())
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))
			Expect(must(offline.Inspect(ctx, suite.worker(), snapshot.Path)).Database.Content.Removed).NotTo(BeEmpty(), "no churn")

			plan := must(d.Plan(snapshot, down, identity.FreshToken()))
			reborn := must(d.Restore(ctx, plan))
			Expect(must(d.Verify(ctx, drill.Proof{
				Book: book, Source: snapshot, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))).To(BeIntact())
			for _, m := range reborn.Members() {
				Expect(membership(ctx, m)).To(ConsistOf(votersOf(plan)), "as %s knows them", m.Name())
			}
			more := addVoter(ctx, reborn.Cluster, "m5")
			Expect(membership(ctx, must(more.Member("m5")))).To(HaveLen(4))
		},
		Entry("3.5 on 3.6", Label("version:3.5", "version:3.6"), SpecTimeout(2*time.Minute)),
		Entry("3.5 on 3.7", Label("version:3.5", "version:3.7"), SpecTimeout(2*time.Minute)),
	)
})

// churn adds a learner, promotes it, and removes a member that was there from the beginning.
func churn(ctx context.Context, cluster *harness.Cluster) *harness.Cluster {
	GinkgoHelper()
	whole := addVoter(ctx, cluster, "m4")
	less := must(whole.Remove(ctx, "m2", "m1", time.Minute))
	must(must(whole.Member("m1")).Wait(ctx)) // its peers tell it
	return less
}

// addVoter adds a member by way of a learner.
func addVoter(ctx context.Context, cluster *harness.Cluster, name string) *harness.Cluster {
	GinkgoHelper()
	seat := harness.Seat{Name: name, PeerURL: must(cluster.Site().Place(name)).PeerURL}
	via := cluster.Members()[0].Name()
	more := must(cluster.Add(ctx, harness.Addition{Seat: seat, Via: via, Learner: true, Generation: 1, Within: time.Minute}))
	Expect(must(more.Member(name)).Start(ctx)).To(Succeed())
	Expect(more.Promote(ctx, via, name, time.Minute)).To(Succeed())
	Expect(more.AwaitReady(ctx, time.Minute)).To(Succeed())
	return more
}

// seatAs is what a member list says of one member.
type seatAs struct {
	Name    string
	ID      identity.MemberID
	PeerURL string
	Learner bool
}

func votersOf(plan recovery.Plan) []seatAs {
	var voters []seatAs
	for _, m := range plan.Members {
		voters = append(voters, seatAs{Name: m.Name, ID: m.MemberID, PeerURL: m.PeerURL})
	}
	return voters
}

// membership asks the member who belongs to its cluster.
func membership(ctx context.Context, m *harness.Member) []seatAs {
	GinkgoHelper()
	probe := must(m.Probe(ctx))
	defer probe.Close()
	var list []seatAs
	for _, one := range must(probe.Client().MemberList(ctx)).Members {
		list = append(list, seatAs{one.Name, identity.MemberID(one.ID), one.PeerURLs[0], one.IsLearner})
	}
	return list
}
