package scenarios_test

import (
	"context"
	"fmt"
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

// The new cluster has hardly begun to live when all its members are killed at once. What a restore wrote and a member only
// has in memory would be gone now.
var _ = Describe("quorum killed, and all again", Label("etcd", "A1", "O8", "disaster:quorum-killed-then-all"), func() {
	It("a restored cluster that is killed and started again is the same, and holds every write up to its restore point",
		Label("via:snapshot", "size:3", "issue:etcd#7834", "issue:etcd#13766"), func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{
				Members: 3, Fault: "kill", Lose: faults.Quorum, Source: recovery.SavedSnapshot, Backup: drill.After,
			})
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			outage := must(d.Strike(ctx, old, faults.Kill(faults.Quorum)))
			snapshot := must(d.Rescue(ctx, outage))
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))
			plan := must(d.Plan(snapshot, down, identity.FreshToken()))
			reborn := must(d.Restore(ctx, plan))
			before := hashes(ctx, reborn.Cluster, reborn.Canary.Revision)

			Expect(killAll(ctx, reborn.Cluster)).To(Succeed())
			for _, m := range reborn.Members() {
				Expect(m.Start(ctx)).To(Succeed())
			}
			Expect(reborn.AwaitReady(ctx, time.Minute)).To(Succeed(), "under the same IDs")

			Expect(hashes(ctx, reborn.Cluster, reborn.Canary.Revision)).To(And(Equal(before), HaveLen(3), HaveEach(before[0])))
			Expect(must(d.Verify(ctx, drill.Proof{
				Book: book, Source: snapshot, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))).To(BeIntact())
		}, SpecTimeout(3*time.Minute))
})

// hashOf is what a member says of its history: etcd's hash, up to which revision, and above which compaction.
type hashOf struct {
	hash                uint32
	revision, compacted int64
}

func hashes(ctx context.Context, cluster *harness.Cluster, revision int64) []hashOf {
	GinkgoHelper()
	var all []hashOf
	for _, m := range cluster.Members() {
		probe := must(m.Probe(ctx))
		hash, compacted, err := probe.HashKV(ctx, revision)
		Expect(err).NotTo(HaveOccurred())
		all = append(all, hashOf{hash, must(probe.Read(ctx, harness.Serializable)).Revision, compacted})
		probe.Close()
	}
	return all
}

// killed is the exit code of a process that had no chance to put on disk what it held in memory.
const killed = 128 + 9

// killAll signals every member before it waits for any, and returns nil if all of them died of it.
func killAll(ctx context.Context, cluster *harness.Cluster) error {
	for _, m := range cluster.Members() {
		if err := m.Signal(ctx, harness.Kill); err != nil {
			return err
		}
	}
	for _, m := range cluster.Members() {
		exit, err := m.Wait(ctx)
		if err == nil && exit.Code != killed {
			err = fmt.Errorf("%s ended with code %d instead of %d", m.Name(), exit.Code, killed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
