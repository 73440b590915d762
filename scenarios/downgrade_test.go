package scenarios_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"

	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// The way back to an older version begins while the newer cluster lives. Who missed it can still restore on etcd 3.5, which
// looks at nothing, and pays later.
var _ = Describe("an older version", Label("etcd", "B8", "disaster:back-on-an-older-version", "full"), func() {
	DescribeTable("a snapshot saved while a downgrade is enabled starts on both versions, and the downgrade goes on",
		Label("issue:k8s-snap#2795", "via:downgraded-snapshot", "size:1"),
		func(ctx SpecContext, cancelled bool, storage string) {
			l := loseAll(ctx, recovery.SavedSnapshot, func(ctx context.Context, old *harness.Cluster) {
				Expect(downgrade(ctx, old, clientv3.DowngradeEnable)).To(Succeed())
				Eventually(ctx, storageOf(old)).WithTimeout(20 * time.Second).Should(Equal("3.6.0"))
			})
			Expect(l.source.StorageVersion).To(Equal("3.6.0"))
			plan := must(l.Plan(l.source, l.down, identity.FreshToken()))
			reborn := must(l.Restore(ctx, plan))
			found := must(status(ctx, reborn.Cluster))
			Expect(found.Version).To(Equal(l.RestorePrepared().Version))
			Expect(found.DowngradeInfo.GetEnabled()).To(BeTrue(), "the snapshot holds it")
			Expect(must(l.Verify(ctx, l.proof(plan, reborn)))).To(BeIntact())

			if cancelled { // nothing else ends it on a version above its target
				Expect(must(status(ctx, reborn.Cluster)).DowngradeInfo.GetEnabled()).To(BeTrue())
				Expect(downgrade(ctx, reborn.Cluster, clientv3.DowngradeCancel)).To(Succeed())
			}
			Eventually(ctx, func() bool { return must(status(ctx, reborn.Cluster)).DowngradeInfo.GetEnabled() }).
				WithTimeout(15 * time.Second).Should(BeFalse())
			Eventually(ctx, storageOf(reborn.Cluster)).WithTimeout(15 * time.Second).Should(Equal(storage))
		},
		Entry("3.7 on 3.6, where it ends by itself", Label("version:3.7", "version:3.6"), SpecTimeout(2*time.Minute), false, "3.6.0"),
		Entry("3.7 on 3.7, where it must be cancelled", Label("version:3.7"), SpecTimeout(2*time.Minute), true, "3.7.0"),
	)

	DescribeTable("etcd 3.5 starts on every file, and a later upgrade to 3.6 fails on what came from 3.7",
		Label("via:upgraded-after", "size:1"),
		func(ctx SpecContext, says string) {
			l := loseAll(ctx, recovery.SavedSnapshot)
			plan := must(l.Plan(l.source, l.down, identity.FreshToken()))
			reborn := must(l.Restore(ctx, plan))
			Expect(must(l.Verify(ctx, l.proof(plan, reborn)))).To(BeIntact())

			upgraded := must(upgrade(ctx, reborn.Cluster, "3.6"))
			err := upgraded.AwaitReady(ctx, 30*time.Second)
			if says == "" {
				Expect(err).NotTo(HaveOccurred())
				return
			}
			Expect(err).To(MatchError(ContainSubstring(says)))
		},
		Entry("3.5 on 3.5", Label("version:3.5"), SpecTimeout(2*time.Minute), ""),
		Entry("3.6 on 3.5", Label("version:3.6", "version:3.5"), SpecTimeout(2*time.Minute), ""),
		Entry("3.7 on 3.5", Label("version:3.7", "version:3.5"), SpecTimeout(2*time.Minute), `version \"3.7.0\" is not supported`),
	)
})

func downgrade(ctx context.Context, cluster *harness.Cluster, action clientv3.DowngradeAction) error {
	client, err := cluster.Members()[0].Dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // nothing is lost by closing
	_, err = client.Downgrade(ctx, action, "3.6.0")
	return err
}

func storageOf(cluster *harness.Cluster) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		found, err := status(ctx, cluster)
		return found.StorageVersion, err
	}
}

// upgrade stops every member and starts it again on its data with another version of etcd.
func upgrade(ctx context.Context, cluster *harness.Cluster, version string) (*harness.Cluster, error) {
	for _, m := range cluster.Members() {
		if _, err := m.Stop(ctx, 30*time.Second); err != nil {
			return nil, err
		}
	}
	kept, err := cluster.Keep(cluster.Layout().Names()...)
	if err != nil {
		return nil, err
	}
	upgraded, err := harness.Prepare(ctx, cluster.Site(), harness.Birth{
		Layout: cluster.Layout(), Kept: kept, Version: version, Generation: 9,
	})
	if err != nil {
		return nil, err
	}
	return upgraded, upgraded.Start(ctx)
}
