package scenarios_test

import (
	"context"
	"io"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/mod/semver"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Somebody goes back to a snapshot, member by member and in place, while the others still run, and corruption checks are on:
// the new members hold less than the old ones, and both ask each other for hashes.
var _ = Describe("rolled back in place", Label("etcd", "C7", "issue:etcd#15548", "disaster:rolled-back"), func() {
	DescribeTable("old and new members refuse each other's hashes, raise no alarm, and none joins the other side",
		Label("via:rolling-snapshot"),
		func(ctx SpecContext) {
			checks := corruptionChecks()
			d := rehearse(ctx, drill.Spec{
				Members: 3, Fault: "stop", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before,
			}, checks...)
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			snapshot := must(d.Backup(ctx, old))
			Expect(load.AwaitMore(ctx, 100)).To(Succeed())
			must(load.Stop(ctx))

			plan := must(d.Plan(snapshot, &drill.Down{Cluster: old}, identity.FreshToken()))
			reborn := must(harness.Prepare(ctx, old.Site(), harness.Birth{
				Layout: plan.Layout, Dirs: must(d.Rebuild(ctx, plan)).Dirs(), Generation: 7, Args: checks, Version: old.Members()[0].Version(),
			}))
			was, is := old.Members(), reborn.Members()
			before := must(drill.LineageOf(ctx, was[2]))

			rollOver(ctx, was[0], is[0]) // two old ones are left, and a leader among them
			Eventually(ctx, refusals(was[1:]...)).WithTimeout(30*time.Second).Should(BeNumerically(">", 0), "the old leader checks")
			Eventually(ctx, refusals(is[0])).WithTimeout(30*time.Second).Should(BeNumerically(">", 0), "the first new one checks before it serves")

			rollOver(ctx, was[1], is[1]) // two new ones, and a leader among them
			for _, m := range is[:2] {
				Expect(m.AwaitReady(ctx, reborn.ID(), time.Minute)).To(Succeed())
			}
			atBoot := must(refusals(is[:2]...)(ctx))
			Eventually(ctx, refusals(is[:2]...)).WithTimeout(30*time.Second).Should(BeNumerically(">", atBoot), "the new leader checks")
			Expect(before.Continues(ctx, was[2])).To(Succeed(), "the last old one is what it was")
			expectNoAlarm(ctx, was[2], is[0], is[1])

			rollOver(ctx, was[2], is[2])
			Expect(reborn.AwaitReady(ctx, time.Minute)).To(Succeed())
			truth := must(drill.LineageOf(ctx, is[0]))
			Expect(truth.Revision).To(Equal(snapshot.RestorePoint))
			Expect(truth.Continues(ctx, is[1])).To(Succeed())
			Expect(truth.Continues(ctx, is[2])).To(Succeed())
			expectNoAlarm(ctx, is...)
		},
		Entry("etcd 3.7", Label("size:3"), SpecTimeout(3*time.Minute)),
		Entry("etcd 3.6", Label("size:3", "version:3.6"), SpecTimeout(3*time.Minute)),
		Entry("etcd 3.5", Label("size:3", "version:3.5"), SpecTimeout(3*time.Minute)),
	)
})

// corruptionChecks switches on every check that this version has: 3.7 ends on the names of 3.5, and 3.5 on those of 3.7.
func corruptionChecks() []string {
	if versions := versionsOf(CurrentSpecReport()); len(versions) > 0 && semver.Compare("v"+versions[0], "v3.6") < 0 {
		return []string{
			"--experimental-initial-corrupt-check=true", "--experimental-corrupt-check-time=1s",
			"--experimental-compact-hash-check-enabled=true", "--experimental-compact-hash-check-time=1s",
		}
	}
	return []string{
		"--feature-gates=InitialCorruptCheck=true,CompactHashCheck=true", "--corrupt-check-time=1s", "--compact-hash-check-time=1s",
	}
}

// rollOver stops the old member and starts the new one in its place.
func rollOver(ctx context.Context, old, reborn *harness.Member) {
	GinkgoHelper()
	must(old.Stop(ctx, time.Minute))
	Expect(reborn.Start(ctx)).To(Succeed())
}

// refusals counts how often members were refused a hash for being of another cluster (server/etcdserver/corrupt.go, HashByRev).
func refusals(members ...*harness.Member) func(context.Context) (int, error) {
	return func(ctx context.Context) (count int, err error) {
		for _, m := range members {
			logs, err := m.Logs(ctx)
			if err != nil {
				return 0, err
			}
			text, err := io.ReadAll(logs)
			_ = logs.Close() // only read
			if err != nil {
				return 0, err
			}
			count += strings.Count(string(text), "etcdserver: cluster ID mismatch")
		}
		return count, nil
	}
}

// expectNoAlarm asks each member by itself: without a quorum nobody answers for all.
func expectNoAlarm(ctx context.Context, members ...*harness.Member) {
	GinkgoHelper()
	for _, m := range members {
		client := must(m.Dial(ctx))
		status, err := client.Status(ctx, client.Endpoints()[0])
		_ = client.Close() // the call has been answered
		for _, complaint := range must(status, err).Errors {
			Expect(complaint).NotTo(ContainSubstring("CORRUPT"), m.Name())
		}
	}
}
