package scenarios_test

import (
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// A disaster seldom comes alone: the cluster that was restored is lost as well, and only its own backup is left.
var _ = Describe("lost twice", Label("etcd", "A13", "disaster:lost-twice"), func() {
	DescribeTable("the second cluster is a new one again, and holds what the first held and what came to it since",
		Label("issue:k3s#2301", "issue:k3s#2337", "via:snapshot"),
		func(ctx SpecContext, size int) {
			relic, site := remains(ctx), ground(ctx)
			worker := suite.worker()

			first := revive(ctx, site, must(offline.Restore(ctx, worker, relic.planned(ctx, site, size), site.Scratch())))
			client := must(first.Members()[0].Dial(ctx))
			defer client.Close() //nolint:errcheck // every call has been answered by then
			since := must(client.Put(ctx, "between the disasters", "x")).Header.Revision
			Expect(since).To(Equal(relic.revision + 1))
			backup := filepath.Join(GinkgoT().TempDir(), "second.db")
			must(fetch.Save(ctx, client, backup))
			want := hashes(ctx, first, since)[0]
			Expect(killAll(ctx, first)).To(Succeed())

			source := must(offline.Check(ctx, worker, recovery.SavedSnapshot, backup))
			Expect(source.MemberIDs).To(ConsistOf(memberIDs(first)))
			seats := recovery.WithSeats(first.Layout().Seats...)
			Expect(recovery.NewPlan(source, relic.layout, first.Layout().Token, seats)).Error().To(MatchError(recovery.ErrTokenReused),
				"the backup knows of the first restore, if nobody else does")
			plan := must(recovery.NewPlan(source, first.Layout(), identity.FreshToken()))
			scratch := filepath.Join(site.Scratch(), "again")
			Expect(os.Mkdir(scratch, 0o700)).To(Succeed())
			again := must(offline.Restore(ctx, worker, plan, scratch))
			second := started(ctx, site, harness.Birth{Layout: plan.Layout, Generation: 3, Dirs: again.Dirs()})

			Expect([]identity.ClusterID{relic.layout.ClusterID(), first.ID()}).NotTo(ContainElement(second.ID()))
			Expect(clusterIDs(ctx, second)).To(HaveEach(second.ID()))
			Expect(memberIDs(second)).NotTo(ContainElements(memberIDs(first)))
			Expect(hashes(ctx, second, since)).To(HaveEach(want))
		},
		Entry("1 member", Label("size:1"), SpecTimeout(time.Minute), 1),
		Entry("3 members", Label("size:3"), SpecTimeout(2*time.Minute), 3),
	)
})
