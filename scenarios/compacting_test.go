package scenarios_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/load"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// A compaction was accepted and has only begun when the quorum is killed, and the newest record of all is a tombstone. The new
// members resume the compaction, and must come to the same revision and the same hash as the old ones.
var _ = Describe("quorum killed, compacting", Label("etcd", "B16", "disaster:quorum-killed-compacting", "size:3"), func() {
	DescribeTable("an unfinished compaction is carried over, and what it took away is refused before and after",
		Label("via:snapshot", "issue:etcd#17780", "issue:etcd#15919"),
		func(ctx SpecContext, prefix string) {
			// It sleeps after its first hundred records, here and on the new members.
			d := rehearse(ctx, drill.Spec{
				Members: 3, Fault: "kill", Lose: faults.Quorum, Source: recovery.SavedSnapshot, Backup: drill.After,
			}, "--"+prefix+"compaction-batch-limit=100", "--"+prefix+"compaction-sleep-interval=1h")
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			book := must(load.Stop(ctx))
			last := tombstone(ctx, old.Members()[0])
			point := last - last/4
			compact(ctx, old.Members()[0], point)
			Expect(settled(ctx, old)).To(Succeed())
			for _, m := range old.Members() {
				expectCompacted(ctx, m, point)
			}

			outage := must(d.Strike(ctx, old, faults.Kill(faults.Quorum)))
			Expect(outage).To(HaveLostQuorum())
			snapshot := must(d.Rescue(ctx, outage))
			content := must(offline.Inspect(ctx, suite.worker(), snapshot.Path)).Database.Content
			Expect(content.ScheduledCompaction).To(Equal(point))
			Expect(content.FinishedCompaction).To(BeNumerically("<", point), "it must not have come to its end")
			Expect(snapshot.RestorePoint).To(Equal(last))
			down := must(d.StopAll(ctx, outage))

			plan := must(d.Plan(snapshot, down, identity.FreshToken()))
			reborn := must(d.Restore(ctx, plan))
			Expect(reborn.Canary.Revision).To(Equal(last+1), "the tombstone's revision is not given away again")
			for _, m := range reborn.Members() {
				expectCompacted(ctx, m, point)
			}
			Expect(must(d.Verify(ctx, drill.Proof{
				Book: book, Source: snapshot, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))).To(BeIntact())
		},
		Entry("etcd 3.7", SpecTimeout(3*time.Minute), ""),
		Entry("etcd 3.6", Label("version:3.6", "full"), SpecTimeout(3*time.Minute), ""),
		Entry("etcd 3.5", Label("version:3.5", "full"), SpecTimeout(3*time.Minute), "experimental-"),
	)

	// Today's etcd keeps a tombstone that lies at the compaction point (server/storage/mvcc/key_index.go, compact). One that dropped
	// it left a database in which no record has the newest revision.
	It("a store keeps its revision where nothing but the compaction point tells of it",
		Label("via:compacted-to-the-end", "issue:etcd#17780"), func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{
				Members: 3, Fault: "kill", Lose: faults.Quorum, Source: recovery.DBCopy, Backup: drill.After,
			})
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			book := must(load.Stop(ctx))
			last := tombstone(ctx, old.Members()[0])
			compact(ctx, old.Members()[0], last, clientv3.WithCompactPhysical())
			Expect(settled(ctx, old)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Kill(faults.Quorum)))
			down := must(d.StopAll(ctx, outage))
			kept := must(d.CopyDB(ctx, down, outage))
			dropped := filepath.Join(GinkgoT().TempDir(), "dropped.db")
			Expect(dropRecords(kept.Path, dropped, last)).To(Succeed())
			source := must(offline.Check(ctx, suite.worker(), recovery.DBCopy, dropped))
			source.Member = kept.Member
			Expect(source.LastRecord).To(BeNumerically("<", last), "a record still tells of it")
			Expect(source.RestorePoint).To(Equal(last))

			plan := must(d.Plan(source, down, identity.FreshToken()))
			reborn := must(d.Restore(ctx, plan))
			Expect(reborn.Canary.Revision).To(Equal(last+1), "the tombstone's revision is not given away again")
			verdict := must(d.Verify(ctx, drill.Proof{
				Book: book, Source: source, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))
			Expect(verdict).To(BeInconclusive(WithFinding(drill.NoEvidence, "")), "no history is left to compare")
			Expect(verdict.Findings).To(HaveLen(1), "and nothing else is wrong")
		}, SpecTimeout(3*time.Minute))
})

// dropRecords copies a database and takes all records of this revision out of the copy.
func dropRecords(from, to string, revision int64) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		return err
	}
	db, err := bolt.Open(to, 0o600, nil)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		records, first := tx.Bucket([]byte("key")), binary.BigEndian.AppendUint64(nil, uint64(revision))
		for at, _ := records.Cursor().Seek(first); bytes.HasPrefix(at, first); at, _ = records.Cursor().Seek(first) {
			if err := records.Delete(at); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, db.Close())
}

// tombstone revokes a lease of the load, which deletes its keys, and returns the revision of the tombstones. The judge knows
// such a revision by the lease.
func tombstone(ctx context.Context, m *harness.Member) int64 {
	GinkgoHelper()
	client := must(m.Dial(ctx))
	defer client.Close() //nolint:errcheck // every call has been answered by then
	var leased ledger.Lease
	must(load.ReadState(ctx, client, func(l ledger.Lease) error {
		if len(l.Keys) > 0 {
			leased = l
		}
		return nil
	}))
	Expect(leased.Keys).NotTo(BeEmpty())
	must(client.Revoke(ctx, clientv3.LeaseID(leased.ID)))
	return must(client.Get(ctx, "any", clientv3.WithCountOnly())).Header.Revision
}

func compact(ctx context.Context, m *harness.Member, point int64, opts ...clientv3.CompactOption) {
	GinkgoHelper()
	client := must(m.Dial(ctx))
	defer client.Close() //nolint:errcheck // the call has been answered by then
	must(client.Compact(ctx, point, opts...))
}

// expectCompacted reads at the compaction point, and below it in both ways.
func expectCompacted(ctx context.Context, m *harness.Member, point int64) {
	GinkgoHelper()
	client := must(m.Dial(ctx))
	defer client.Close() //nolint:errcheck // every call has been answered by then
	at := func(rev int64) error {
		_, err := client.Get(ctx, "any", clientv3.WithSerializable(), clientv3.WithRev(rev))
		return err
	}
	Expect(at(point)).To(Succeed())
	Expect(at(point-1)).To(MatchError(rpctypes.ErrCompacted), m.Name())
	resp := <-client.Watch(ctx, "any", clientv3.WithRev(point-1))
	Expect(resp.Err()).To(MatchError(rpctypes.ErrCompacted), m.Name())
	Expect(resp.CompactRevision).To(Equal(point))
}
