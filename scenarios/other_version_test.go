package scenarios_test

import (
	"context"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/mod/semver"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// Who restores in a hurry takes the etcd that is at hand, and it need not be the one that was lost. The labels of each spec
// name both.
var _ = Describe("another version", Label(
	"etcd", "B8", "issue:etcd#13070", "issue:etcd#10461", "disaster:back-on-another-version", "full",
), func() {
	DescribeTable("a snapshot restores every write up to its restore point on a version that starts on it",
		Label("via:snapshot", "size:1"),
		func(ctx SpecContext, warned bool, storage string) {
			l := loseAll(ctx, recovery.SavedSnapshot)
			plan := must(l.Plan(l.source, l.down, identity.FreshToken()))
			Expect(plan.Warnings).To(HaveLen(map[bool]int{true: 1}[warned]))
			reborn := must(l.Restore(ctx, plan))

			version := l.RestorePrepared().Version
			Expect(minorOf(reborn.Restored.Etcdutl)).To(Equal(minorOf(version)), "who restored is of the version that runs")
			Expect(must(l.Verify(ctx, l.proof(plan, reborn)))).To(BeIntact())
			Expect(must(status(ctx, reborn.Cluster)).Version).To(Equal(version))
			Eventually(ctx, func() (string, error) { // etcd looks every 4 s whether its storage can be raised
				found, err := status(ctx, reborn.Cluster)
				return found.StorageVersion, err
			}).WithTimeout(15 * time.Second).Should(Equal(storage))
		},
		Entry("3.5 on 3.6", Label("version:3.5", "version:3.6"), SpecTimeout(2*time.Minute), false, "3.6.0"),
		Entry("3.5 on 3.7", Label("version:3.5", "version:3.7"), SpecTimeout(2*time.Minute), false, "3.7.0"),
		Entry("3.6 on 3.5", Label("version:3.6", "version:3.5"), SpecTimeout(2*time.Minute), true, ""),
		Entry("3.6 on 3.7", Label("version:3.6", "version:3.7"), SpecTimeout(2*time.Minute), false, "3.7.0"),
		Entry("3.7 on 3.5", Label("version:3.7", "version:3.5"), SpecTimeout(2*time.Minute), true, ""),
	)

	DescribeTable("a plan for a version that does not start on the source is refused, and past the guard its members do end",
		func(ctx SpecContext, kind recovery.Kind) {
			l := loseAll(ctx, kind)
			_, err := l.Plan(l.source, l.down, identity.FreshToken())
			Expect(err).To(MatchError(recovery.ErrVersionRefused))
			Expect(err).To(MatchError(ContainSubstring("etcdctl downgrade enable 3.6")))
			Expect(l.source.SHA256).To(Equal(must(offline.Check(ctx, suite.worker(), l.source.Kind, l.source.Path)).SHA256))

			plan := must(recovery.NewPlan(l.source, l.down.Layout(), identity.FreshToken())) // nobody said on which version
			plan.Version = l.RestorePrepared().Version
			restored := must(l.Rebuild(ctx, plan))
			Expect(restored.Etcdutl).To(HavePrefix("3.6."), "etcdutl refuses no version")
			reborn, err := l.Boot(ctx, restored)
			Expect(err).To(MatchError(drill.ErrNotReborn))
			Expect(err).To(MatchError(ContainSubstring(`version \"3.7.0\" is not supported`)))
			Expect(reborn.Canary.Acknowledged).To(BeFalse())
		},
		Entry("a snapshot of 3.7 on 3.6", Label("via:refused-snapshot", "size:1", "version:3.7", "version:3.6"),
			SpecTimeout(2*time.Minute), recovery.SavedSnapshot),
		Entry("a database of 3.7 on 3.6", Label("via:refused-db", "size:1", "version:3.7", "version:3.6"),
			SpecTimeout(2*time.Minute), recovery.DBCopy),
	)

	It("a rehearsal that could only end in a refusal is refused before anything is started",
		Label("via:refused-rehearsal", "version:3.7", "version:3.6"),
		func(ctx SpecContext) {
			id := harness.NewRunID()
			report, err := drill.Rehearse(ctx, versioned(sized(drill.DefaultSpec(), seed())), options(id))
			Expect(err).To(MatchError(drill.ErrUsage))
			Expect(err).To(MatchError(recovery.ErrVersionRefused))
			Expect(report.Phases).To(BeEmpty())
			Expect(os.RemoveAll(suite.drill(id))).To(Succeed())
		}, SpecTimeout(time.Minute))
})

// lost is a drill at the point where nothing but the source and the dead members are left.
type lost struct {
	*drill.Drill
	old    *harness.Cluster
	source recovery.Source
	outage *drill.Outage
	down   *drill.Down
	book   drill.Book
}

// loseAll loads a cluster of one, does to it what is asked for, saves a snapshot, writes on, and kills; or kills and copies the
// database.
func loseAll(ctx SpecContext, kind recovery.Kind, before ...func(ctx context.Context, old *harness.Cluster)) *lost {
	GinkgoHelper()
	backup := map[recovery.Kind]drill.Backup{recovery.SavedSnapshot: drill.Before, recovery.DBCopy: drill.After}[kind]
	l := &lost{Drill: rehearse(ctx, drill.Spec{Members: 1, Fault: "kill", Lose: faults.All, Source: kind, Backup: backup})}
	l.old = must(l.Start(ctx))
	load := must(l.StartLoad(ctx, l.old, drill.Mixed))
	Expect(load.AwaitFilled(ctx)).To(Succeed())
	for _, act := range before {
		act(ctx, l.old)
	}
	if kind == recovery.SavedSnapshot {
		l.source = must(l.Backup(ctx, l.old))
	}
	Expect(load.AwaitMore(ctx, 100)).To(Succeed())
	l.outage = must(l.Strike(ctx, l.old, faults.Kill(faults.All)))
	Expect(l.outage).To(HaveLostQuorum())
	l.book = must(load.Stop(ctx))
	l.down = must(l.StopAll(ctx, l.outage))
	if kind == recovery.DBCopy {
		l.source = must(l.CopyDB(ctx, l.down, l.outage))
	}
	return l
}

func (l *lost) proof(plan recovery.Plan, reborn *drill.Reborn) drill.Proof {
	return drill.Proof{Book: l.book, Source: l.source, Outage: l.outage, Down: l.down, Plan: plan, Reborn: reborn}
}

// status asks the first member, which is the only one here.
func status(ctx context.Context, cluster *harness.Cluster) (*clientv3.StatusResponse, error) {
	client, err := cluster.Members()[0].Dial(ctx)
	if err != nil {
		return &clientv3.StatusResponse{}, err
	}
	defer client.Close() //nolint:errcheck // nothing is lost by closing
	found, err := client.Status(ctx, client.Endpoints()[0])
	if err != nil {
		return &clientv3.StatusResponse{}, err
	}
	return found, nil
}

func minorOf(version string) string { return semver.MajorMinor("v" + version) }
