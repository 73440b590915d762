package scenarios_test

import (
	"math"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// Some plans lead to what all health lights call green. They are refused before anything is done: what does not answer here
// could not even be started.
var _ = Describe("a plan that leads astray", Label("disaster:plan-astray"), func() {
	noWorker := offline.Worker{Path: "/nonexistent"}

	// That old members are let into such a cluster, and that a drill finds it: e2e/sabotage_identity_test.go, which forges the
	// plan and restores it all the same.
	It("is refused under a token that was used before, by the cluster that is lost or by the one that the backup is of",
		Label("A6", "via:used-token"), func(ctx SpecContext) {
			relic := remains(ctx)
			source := relic.checked(ctx, recovery.SavedSnapshot)
			for _, known := range []harness.Layout{relic.layout, {Token: "others", Seats: relic.layout.Seats}} {
				_, err := recovery.NewPlan(source, known, relic.layout.Token)
				Expect(err).To(And(MatchError(recovery.ErrTokenReused), MatchError(ContainSubstring("use identity.FreshToken"))))
			}
			_, err := recovery.NewPlan(source, relic.layout, "")
			Expect(err).To(MatchError(recovery.ErrTokenReused), "etcd has a default for an empty one, and it is everybody's")
			Expect(recovery.NewPlan(source, relic.layout, identity.FreshToken())).NotTo(BeZero())
		}, SpecTimeout(time.Minute))

	DescribeTable("is refused where its members are not those of one cluster, before a name is looked up",
		Label("B15"),
		func(ctx SpecContext, spoil func(plan *recovery.Plan)) {
			relic := remains(ctx)
			plan, scratch := relic.planned(ctx, harness.HostPlaces{}, 3), GinkgoT().TempDir()
			plan.Members, plan.Layout.Seats = slices.Clone(plan.Members), slices.Clone(plan.Layout.Seats)
			spoil(&plan)

			_, err := offline.Restore(ctx, noWorker, plan, scratch)
			Expect(err).To(MatchError(recovery.ErrBadLayout))
			seats := recovery.WithSeats(plan.Layout.Seats...)
			if _, err := recovery.NewPlan(plan.Source, relic.layout, plan.Layout.Token, seats); err != nil {
				Expect(err).To(MatchError(recovery.ErrBadLayout), "planning anew says the same")
			}
			Expect(scratch).To(beAnEmptyFolder())
			Expect(digestOf(relic.snapshot)).To(Equal(plan.Source.SHA256))
		},
		Entry("a wrong name", Label("via:wrong-name"), SpecTimeout(time.Minute), func(p *recovery.Plan) { p.Members[1].Name = "m9" }),
		Entry("another advertised address, which cannot be resolved", Label("via:advertised-elsewhere"), SpecTimeout(time.Minute),
			func(p *recovery.Plan) { p.Members[1].PeerURL = "http://nobody.invalid:2380" }),
		Entry("one address for two", Label("via:duplicate-address"), SpecTimeout(time.Minute),
			func(p *recovery.Plan) { p.Layout.Seats[1].PeerURL = p.Layout.Seats[0].PeerURL }),
		Entry("an empty cluster", Label("via:empty-cluster"), SpecTimeout(time.Minute),
			func(p *recovery.Plan) { p.Members, p.Layout.Seats = nil, nil }),
		Entry("a huge cluster", Label("via:huge-cluster"), SpecTimeout(time.Minute), func(p *recovery.Plan) {
			for range 10 {
				p.Layout.Seats = append(p.Layout.Seats, p.Layout.Seats...)
			}
		}),
	)

	DescribeTable("is refused with a bump that etcdutl would do wrongly, without a word",
		Label("C14", "issue:etcd#16028"),
		func(ctx SpecContext, revisions uint64, opts ...recovery.PlanOption) {
			relic := remains(ctx)
			source := relic.checked(ctx, recovery.SavedSnapshot)
			_, err := recovery.NewPlan(source, relic.layout, identity.FreshToken(), append(opts, recovery.WithBump(revisions))...)
			Expect(err).To(MatchError(recovery.ErrBadBump))
			if revisions > 0 { // a plan is a value that anybody can change
				plan, scratch := relic.planned(ctx, harness.HostPlaces{}, 1), GinkgoT().TempDir()
				plan.BumpRevision, plan.MarkCompacted = revisions, len(opts) > 0
				Expect(offline.Restore(ctx, noWorker, plan, scratch)).Error().To(MatchError(recovery.ErrBadBump))
				Expect(scratch).To(beAnEmptyFolder())
				spec := sized(drill.Spec{Members: 1, Fault: "kill", Lose: "all", BumpRevision: revisions, MarkCompacted: len(opts) > 0}, 1)
				Expect(spec.Check()).To(And(MatchError(drill.ErrUsage), MatchError(recovery.ErrBadBump)))
			}
		},
		Entry("0", Label("via:bump-0"), SpecTimeout(time.Minute), uint64(0), recovery.WithMarkCompacted()),
		Entry("1 without its mark", Label("via:bump-unmarked"), SpecTimeout(time.Minute), uint64(1)),
		Entry("near the end of an int64", Label("via:bump-to-the-end"), SpecTimeout(time.Minute),
			uint64(math.MaxInt64-100), recovery.WithMarkCompacted()),
		Entry("the end of an int64", Label("via:bump-over-the-end"), SpecTimeout(time.Minute),
			uint64(math.MaxInt64), recovery.WithMarkCompacted()),
		Entry("2^64-1", Label("via:bump-backwards"), SpecTimeout(time.Minute),
			uint64(math.MaxUint64), recovery.WithMarkCompacted()),
	)
})

var _ = Describe("a bump", Label("etcd", "disaster:bumped-to-the-bounds"), func() {
	DescribeTable("within its bounds leads exactly there, with everything below compacted", Label("C14", "size:1"),
		func(ctx SpecContext, revisions uint64) {
			relic, site := remains(ctx), ground(ctx)
			plan := relic.planned(ctx, site, 1, recovery.WithBump(revisions), recovery.WithMarkCompacted())
			m := revive(ctx, site, must(offline.Restore(ctx, suite.worker(), plan, site.Scratch()))).Members()[0]

			Expect(plan.Revision()).To(Equal(relic.revision + int64(revisions)))
			probe := must(m.Probe(ctx))
			defer probe.Close()
			Expect(must(probe.Read(ctx, harness.Linearizable)).Revision).To(Equal(plan.Revision()))
			expectCompacted(ctx, m, plan.Revision())
			Expect(must(probe.Client().Put(ctx, "next", "one")).Header.Revision).To(Equal(plan.Revision() + 1))
		},
		Entry("1", Label("via:bump-1"), SpecTimeout(time.Minute), uint64(1)),
		Entry("a thousand million", Label("via:bump-1e9"), SpecTimeout(time.Minute), uint64(1_000_000_000)),
		Entry("as much as there is", Label("via:bump-2e53"), SpecTimeout(time.Minute), uint64(recovery.MaxRevision-1000)),
	)
})
