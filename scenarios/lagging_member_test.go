package scenarios_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// Of two survivors one was frozen for a while, and answers again when there is nobody left to catch up with. It saves a
// snapshot as willingly as the other.
var _ = Describe("quorum killed, and a survivor that lags", Label("etcd", "disaster:quorum-killed-beside-a-laggard"), func() {
	It("saves less than the other, which is chosen, and what it would lose is told in revisions",
		Label("B9", "via:best-snapshot", "size:5", "issue:etcd#17638"), func(ctx SpecContext) {
			skipUnlessAble(ctx, faults.Pause(faults.Leader))
			d := rehearse(ctx, drill.Spec{Members: 5, Fault: "kill", Lose: faults.Quorum})
			old := must(d.Start(ctx))
			outage := must(d.Strike(ctx, old, faults.Kill(faults.Count(1)))) // the first of three
			followers := followersOf(ctx, survivorsOf(old, outage))
			laggard, fresh := followers[0], followers[1]

			Expect(laggard.Signal(ctx, harness.Freeze)).To(Succeed())
			acknowledged := putLarge(ctx, fresh, 24) // more than what waits in the buffers of its connections
			Expect(fresh.AwaitKey(ctx, "large/23", acknowledged, 10*time.Second)).To(Succeed())
			for _, m := range survivorsOf(old, outage) {
				if m != laggard && m != fresh {
					must(m.Kill(ctx))
				}
			}
			Expect(laggard.Signal(ctx, harness.Thaw)).To(Succeed())
			outage.Survivors = []string{laggard.Name(), fresh.Name()}

			var found []recovery.Inspection
			for _, m := range []*harness.Member{laggard, fresh} {
				found = append(found, must(offline.Inspect(ctx, suite.worker(), saveFrom(ctx, m))))
			}
			Expect(must(d.Rescue(ctx, outage))).To(And(HaveField("Member", fresh.Name()), HaveField("RestorePoint", acknowledged)))
			choice := must(recovery.Rank(found))
			behind := acknowledged - found[0].Database.Content.RestorePoint
			Expect(behind).To(BeNumerically(">", 0), "the laggard does not lag")
			Expect(choice.Best).To(And(HaveField("Path", found[1].Path), HaveField("RestorePoint", acknowledged)))
			Expect(choice.Others).To(ConsistOf(And(HaveField("Path", found[0].Path), HaveField("Loses", behind))))
			Expect(choice.Because).To(ContainElement(ContainSubstring(fmt.Sprintf("would lose %d revision", behind))))
		}, SpecTimeout(2*time.Minute))
})

// survivorsOf returns the members whom the outage has spared.
func survivorsOf(cluster *harness.Cluster, outage *drill.Outage) (survivors []*harness.Member) {
	GinkgoHelper()
	for _, name := range outage.Survivors {
		survivors = append(survivors, must(cluster.Member(name)))
	}
	return survivors
}

// followersOf returns those of these members that do not lead.
func followersOf(ctx context.Context, members []*harness.Member) []*harness.Member {
	GinkgoHelper()
	var followers []*harness.Member
	for _, m := range members {
		probe := must(m.Probe(ctx))
		health, err := probe.Health(ctx)
		probe.Close()
		if must(health, err).Leader != m.ID() {
			followers = append(followers, m)
		}
	}
	return followers
}

// putLarge writes n values of 1 MiB through this member and returns the last revision.
func putLarge(ctx context.Context, m *harness.Member, n int) int64 {
	GinkgoHelper()
	probe := must(m.Probe(ctx))
	defer probe.Close()
	var revision int64
	for i := range n {
		revision = must(probe.Client().Put(ctx, fmt.Sprintf("large/%d", i), strings.Repeat("x", 1<<20))).Header.Revision
	}
	return revision
}

// saveFrom saves a snapshot from this member and returns its path.
func saveFrom(ctx context.Context, m *harness.Member) string {
	GinkgoHelper()
	probe := must(m.Probe(ctx))
	defer probe.Close()
	path := filepath.Join(GinkgoT().TempDir(), m.Name()+".db")
	must(fetch.Save(ctx, probe.Client(), path))
	return path
}
