package scenarios_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/load"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Keys are attached to leases whose owners will not come back. A restore starts every lease anew, with all that was granted,
// so that such keys linger for up to that long, and no longer.
var _ = Describe("all killed, leases running", Label("etcd", "B4", "disaster:all-killed-leased"), func() {
	It("a lease begins anew with what was granted, can be kept alive and revoked, and takes its keys with it when that has passed",
		Label("via:snapshot", "size:3", "issue:etcd#9395", "issue:etcd#13294", "issue:etcd#17132", "issue:kubernetes#86812"),
		func(ctx SpecContext) {
			const granted = 4 * time.Second
			d := rehearse(ctx, drill.Spec{
				Members: 3, Fault: "kill", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before, LeaseTTL: granted,
			})
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			snapshot := must(d.Backup(ctx, old))
			Expect(load.AwaitMore(ctx, 100)).To(Succeed())
			outage := must(d.Strike(ctx, old, faults.Kill(faults.All)))
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))
			plan := must(d.Plan(snapshot, down, identity.FreshToken()))
			restored := must(d.Rebuild(ctx, plan))

			notBefore := time.Now() // that a lease can begin to run
			reborn := must(d.Boot(ctx, restored))
			begun := time.Now() // all of them run by now
			leases := newLeases(ctx, reborn)
			for _, l := range leases.all {
				Expect(l.TTL).To(Equal(int64(granted / time.Second)))
				Expect(time.Duration(l.Left+1)*time.Second+time.Since(notBefore)).To(BeNumerically(">=", granted),
					"it begins anew, whenever it was granted")
			}

			kept, revoked := leases.withKeys[0], leases.withKeys[1]
			leases.keepAlive(ctx, kept)
			must(leases.client.Revoke(ctx, clientv3.LeaseID(revoked.ID)))
			gone := leases.awaitExpiry(ctx, kept)
			Expect(gone[revoked.ID]).To(BeTemporally("<", notBefore.Add(granted)), "revoked at once")
			delete(gone, revoked.ID)
			Expect(gone).To(HaveEach(And(
				BeTemporally(">=", notBefore.Add(granted)), BeTemporally("<=", begun.Add(granted+revokeLag)))))
			Expect(leases.attached(ctx, kept)).To(BeEquivalentTo(len(kept.Keys)), "kept alive beyond all others")
			leases.letGo()
			Expect(leases.awaitExpiry(ctx)).To(HaveKey(kept.ID))

			verdict := must(d.Verify(ctx, drill.Proof{
				Book: book, Source: snapshot, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))
			Expect(verdict).To(BeIntact())
		}, SpecTimeout(2*time.Minute))
})

// revokeLag is how long etcd may take to revoke what has expired: it looks every half second (server/lease/lessor.go,
// runLoop), and a member of a busy machine must still be given its turn.
const revokeLag = 3 * time.Second

// running is what the first new member holds of leases, and a watch on what becomes of their keys.
type running struct {
	client        *clientv3.Client
	all, withKeys []ledger.Lease
	deletes       clientv3.WatchChan
	left          map[string]int64 // the leases of the keys that are still there
	letGo         context.CancelFunc
}

func newLeases(ctx context.Context, reborn *drill.Reborn) *running {
	GinkgoHelper()
	r := &running{client: must(reborn.Members()[0].Dial(ctx)), left: map[string]int64{}}
	DeferCleanup(r.client.Close)
	r.deletes = r.client.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithFilterPut(), clientv3.WithRev(reborn.Canary.Revision+1))
	must(load.ReadState(ctx, r.client, func(l ledger.Lease) error {
		r.all = append(r.all, l)
		if len(l.Keys) > 0 {
			r.withKeys = append(r.withKeys, l)
		}
		for _, key := range l.Keys {
			r.left[string(key)] = l.ID
		}
		return nil
	}))
	Expect(len(r.withKeys)).To(BeNumerically(">=", 3), "the source must carry leases")
	return r
}

// keepAlive keeps the lease alive until letGo is called.
func (r *running) keepAlive(ctx context.Context, l ledger.Lease) {
	GinkgoHelper()
	ctx, r.letGo = context.WithCancel(ctx)
	DeferCleanup(r.letGo)
	answers := must(r.client.KeepAlive(ctx, clientv3.LeaseID(l.ID)))
	first := <-answers
	Expect(first).NotTo(BeNil())
	Expect(first.TTL).To(Equal(l.TTL))
	go func() {
		for range answers { // until the context ends
		}
	}()
}

// awaitExpiry returns when all keys are gone but those of the kept leases, with when the last key of each lease went.
func (r *running) awaitExpiry(ctx context.Context, kept ...ledger.Lease) map[int64]time.Time {
	GinkgoHelper()
	remain := 0
	for _, l := range kept {
		remain += len(l.Keys)
	}
	gone := map[int64]time.Time{}
	for len(r.left) > remain {
		select {
		case resp, open := <-r.deletes:
			Expect(open).To(BeTrue())
			Expect(resp.Err()).NotTo(HaveOccurred())
			for _, event := range resp.Events {
				gone[r.left[string(event.Kv.Key)]] = time.Now()
				delete(r.left, string(event.Kv.Key))
			}
		case <-ctx.Done():
			Fail("keys do not expire: " + context.Cause(ctx).Error())
		}
	}
	return gone
}

// attached counts the keys of a lease that are there.
func (r *running) attached(ctx context.Context, l ledger.Lease) (count int64) {
	GinkgoHelper()
	for _, key := range l.Keys {
		count += must(r.client.Get(ctx, string(key), clientv3.WithCountOnly())).Count
	}
	return count
}
