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

// Programs watch while all members are killed, and go on by themselves when a cluster is there again at the same addresses.
// They have seen writes that the backup does not hold.
var _ = Describe("all killed, watched", Label("etcd", "A12", "O11", "disaster:all-killed-watched", "size:3"), func() {
	DescribeTable("clients that watch through the disaster",
		func(ctx SpecContext, spec drill.Spec, expect func(drill.Verdict, *drill.Watching)) {
			spec.Members, spec.Fault, spec.Lose, spec.Source, spec.Backup = 3, "kill", faults.All, recovery.SavedSnapshot, drill.Before
			d := rehearse(ctx, spec)
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			watching := must(d.Watch(ctx, old))
			snapshot := must(d.Backup(ctx, old))
			Expect(load.AwaitMore(ctx, 100)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Kill(faults.All)))
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))
			plan := must(d.Plan(snapshot, down, identity.FreshToken()))
			reborn := must(d.Restore(ctx, plan))
			Expect(watching.Prove(ctx, reborn)).To(Succeed())

			verdict := must(d.Verify(ctx, drill.Proof{
				Book: book, Source: snapshot, Outage: outage, Down: down, Plan: plan, Reborn: reborn, Watching: watching,
			}))
			expect(verdict, watching)
		},
		Entry("are deaf without a bump: no error, and no change until the new cluster has passed what they had seen",
			Label("via:snapshot", "short", "issue:etcd#16028", "issue:etcd#14303", "issue:kubernetes#107457"), SpecTimeout(3*time.Minute),
			drill.Spec{}, expectDeaf),
		Entry("are deaf without a bump, on etcd 3.6", Label("via:snapshot", "version:3.6", "full"), SpecTimeout(3*time.Minute),
			drill.Spec{}, expectDeaf),
		Entry("are deaf without a bump, on etcd 3.5", Label("via:snapshot", "version:3.5", "full"), SpecTimeout(3*time.Minute),
			drill.Spec{}, expectDeaf),
		Entry("are cancelled with a bump, and an informer that lists again keeps what the store holds",
			Label("via:bumped-snapshot", "issue:etcd#16028", "issue:kubernetes#107457", "issue:kubernetes#118501"), SpecTimeout(3*time.Minute),
			drill.Spec{BumpRevision: million, MarkCompacted: true}, expectCancelled),
		Entry("are cancelled with a bump, on etcd 3.6", Label("via:bumped-snapshot", "version:3.6", "full"), SpecTimeout(3*time.Minute),
			drill.Spec{BumpRevision: million, MarkCompacted: true}, expectCancelled),
		Entry("are cancelled with a bump, on etcd 3.5", Label("via:bumped-snapshot", "version:3.5", "full"), SpecTimeout(3*time.Minute),
			drill.Spec{BumpRevision: million, MarkCompacted: true}, expectCancelled),
		Entry("are not cancelled by a bump that does not get beyond what they had seen, and that is found",
			Label("via:small-bump"), SpecTimeout(3*time.Minute), drill.Spec{BumpRevision: 1, MarkCompacted: true},
			func(verdict drill.Verdict, _ *drill.Watching) {
				Expect(verdict).To(BeDamaged(WithFinding(drill.Deaf, ""), WithFinding(drill.Rewound, "")))
			}),
	)
})

// million is more than a drill writes.
const million = 1_000_000

func expectDeaf(verdict drill.Verdict, watching *drill.Watching) {
	GinkgoHelper()
	Expect(verdict).To(BeIntact(), "no data is wrong; only nobody is told")
	Expect(verdict.Hazards).To(HaveLen(4), "3 watchers and an informer")
	for _, seen := range watching.Seen {
		Expect(seen.Cancelled).To(BeZero(), seen.Name)
		Expect(seen.Last).To(BeNumerically(">", verdict.RestorePoint), seen.Name)
		Expect(seen.FirstHeard).To(Equal(seen.Last+1), seen.Name)
		Expect(seen.Made-seen.Heard).To(Equal(seen.Last-verdict.RestorePoint), "all up to what it had seen: %s", seen.Name)
		Expect(seen.Clusters).To(HaveLen(2), "it took the answers of another cluster without a word: %s", seen.Name)
	}
	Expect(watching.Seen).To(ContainElement(And(HaveField("Caches", true), HaveField("Differences", BeNumerically(">", 0)))))
}

func expectCancelled(verdict drill.Verdict, watching *drill.Watching) {
	GinkgoHelper()
	Expect(verdict).To(BeIntact())
	Expect(verdict.Hazards).To(BeEmpty())
	Expect(watching.Seen).To(HaveLen(4))
	Expect(watching.Seen).To(HaveEach(And(
		HaveField("Cancelled", verdict.RestorePoint+million), HaveField("Differences", BeZero()))))
}
