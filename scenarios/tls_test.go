package scenarios_test

import (
	"context"
	"net/url"
	"slices"
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

// Peers and clients speak TLS. The URLs are part of every ID, and certificates of every connection.
var _ = Describe("quorum killed, TLS", Label("etcd", "C6", "disaster:quorum-killed-tls"), func() {
	DescribeTable("restored members keep their https URLs, and the certificates of the lost ones are good for them",
		func(ctx SpecContext, source recovery.Kind) {
			d := rehearse(ctx, drill.Spec{
				Members: 3, Fault: "kill", Lose: faults.Quorum, Source: source, Backup: drill.After, TLS: true,
			})
			old, load, outage := loseQuorum(ctx, d)
			proof := salvage(source)(ctx, d, load, outage)
			proof.Plan = must(d.Plan(proof.Source, proof.Down, identity.FreshToken()))
			proof.Reborn = must(d.Restore(ctx, proof.Plan))
			Expect(must(d.Verify(ctx, proof))).To(BeIntact())
			Expect(peerURLs(ctx, proof.Reborn.Members()[0])).To(And(
				ConsistOf(old.Layout().Seats[0].PeerURL, old.Layout().Seats[1].PeerURL, old.Layout().Seats[2].PeerURL),
				HaveEach(HavePrefix("https://")),
			))
		},
		Entry("from a snapshot", Label("via:snapshot", "size:3", "short"), SpecTimeout(3*time.Minute), recovery.SavedSnapshot),
		Entry("from a db copy", Label("via:db", "size:3"), SpecTimeout(3*time.Minute), recovery.DBCopy),
	)

	It("a member that is restored at a new address is refused by its peers until its certificate names it", Label("via:new-address", "size:3"),
		func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{
				Members: 3, Fault: "kill", Lose: faults.Quorum, Source: recovery.SavedSnapshot, Backup: drill.After, TLS: true,
			})
			old, load, outage := loseQuorum(ctx, d)
			proof := salvage(recovery.SavedSnapshot)(ctx, d, load, outage)

			// m4 is a new machine, with the certificate of the one that it replaces.
			gone, moved := old.Layout().Seats[2], must(harness.NewLayout(harness.Manner{TLS: true}.Places(old.Site()), 4, "")).Seats[3]
			Expect(d.Security().Certify(moved.Name, hostOf(gone))).To(Succeed())
			plan := must(recovery.NewPlan(proof.Source, old.Layout(), identity.FreshToken(),
				recovery.WithSeats(append(slices.Clone(old.Layout().Seats[:2]), moved)...)))
			birth := harness.Birth{
				Layout: plan.Layout, Dirs: must(d.Rebuild(ctx, plan)).Dirs(), Generation: 2, Security: d.Security(),
				Version: old.Members()[0].Version(),
			}
			reborn := must(harness.Prepare(ctx, old.Site(), birth))
			Expect(reborn.Start(ctx)).To(Succeed())
			peers, newcomer := reborn.Members()[:2], reborn.Members()[2]
			for _, m := range peers {
				Expect(m.AwaitReady(ctx, reborn.ID(), time.Minute)).To(Succeed(), "two of three are a quorum")
				Eventually(ctx, func() (string, error) { return m.Said(ctx, "x509: certificate is valid for "+hostOf(gone)) }).
					WithTimeout(30 * time.Second).ShouldNot(BeEmpty())
			}
			Expect(newcomer.AwaitReady(ctx, reborn.ID(), 3*time.Second)).NotTo(Succeed(), "the drill's client refuses it as well")
			const follows = "elected leader" // raft, node.go
			Expect(must(newcomer.Said(ctx, follows))).To(BeEmpty())
			Expect(must(peers[0].Said(ctx, follows))).NotTo(BeEmpty())

			// The same directory, with a certificate that names the new machine.
			must(newcomer.Stop(ctx, time.Minute))
			Expect(d.Security().Certify(moved.Name, moved.Name, hostOf(moved), "127.0.0.1")).To(Succeed())
			birth.Generation, birth.Dirs, birth.Kept = 3, nil, must(reborn.Keep(moved.Name))
			birth.Layout.Seats = []harness.Seat{moved}
			again := must(harness.Prepare(ctx, old.Site(), birth))
			Expect(again.Start(ctx)).To(Succeed())
			Expect(again.AwaitReady(ctx, time.Minute)).To(Succeed())
			truth := must(drill.LineageOf(ctx, peers[0]))
			Expect(truth.Revision).To(Equal(proof.Source.RestorePoint))
			Expect(truth.Continues(ctx, again.Members()[0])).To(Succeed())
		}, SpecTimeout(3*time.Minute))
})

func hostOf(seat harness.Seat) string {
	GinkgoHelper()
	return must(url.Parse(seat.PeerURL)).Hostname()
}

// loseQuorum brings a cluster under load to the point where its quorum is proved lost.
func loseQuorum(ctx context.Context, d *drill.Drill) (*harness.Cluster, *drill.Load, *drill.Outage) {
	GinkgoHelper()
	cluster := must(d.Start(ctx))
	load := must(d.StartLoad(ctx, cluster, drill.Mixed))
	Expect(load.AwaitFilled(ctx)).To(Succeed())
	outage := must(d.Strike(ctx, cluster, faults.Kill(faults.Quorum)))
	Expect(outage).To(HaveLostQuorum())
	return cluster, load, outage
}

func peerURLs(ctx context.Context, m *harness.Member) []string {
	GinkgoHelper()
	client := must(m.Dial(ctx))
	defer client.Close() //nolint:errcheck // the call has been answered by then
	var urls []string
	for _, member := range must(client.MemberList(ctx)).Members {
		urls = append(urls, member.PeerURLs...)
	}
	return urls
}
