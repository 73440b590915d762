package serve

import (
	"cmp"
	"context"
	"hash"
	"hash/crc32"
	"iter"

	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// kvHash computes HashKV from the records of a database as etcd does (server/storage/mvcc/hash.go): the CRC-32C over all of them up
// to a revision, of those at or below the compaction point only the ones that are the last of a living key. etcd asks its index
// for these, which holds all keys in memory; here they are sorted.
type kvHash struct {
	sum       hash.Hash32
	revision  int64 // up to which
	compacted int64 // 0 for never
	bumped    bool  // revision is that of a placeholder which is not in the database
	kept      *ledger.Sorter[keptRevision]
	any       bool // some key lives, else nothing that was compacted is left out
}

// keptRevision is the last one of a living key.
type keptRevision struct{ Main, Sub int64 }

func newKVHash(task wire.ExtractTask, scratch ledger.Scratch) *kvHash {
	h := &kvHash{
		sum: crc32.New(crc32.MakeTable(crc32.Castagnoli)), revision: task.RestorePoint, compacted: max(task.Compacted, 0),
		kept: ledger.NewSorter(func(a, b keptRevision) int {
			return cmp.Or(cmp.Compare(a.Main, b.Main), cmp.Compare(a.Sub, b.Sub))
		}, scratch),
	}
	if task.BumpedTo > 0 { // a compaction up to there is scheduled with a bump
		h.bumped, h.revision, h.compacted = true, task.BumpedTo, task.BumpedTo
	}
	h.sum.Write(schema.Key.Name()) // never fails, see hash.Hash
	return h
}

// take adds a record where it can be told already that it counts: where nothing was ever compacted.
func (h *kvHash) take(r rawRecord) {
	if h.compacted == 0 && r.rev.Main <= h.revision {
		h.add(r.at, r.bytes)
	}
}

func (h *kvHash) add(at, value []byte) {
	h.sum.Write(at)
	h.sum.Write(value)
}

// keep notes the last revision of a living key.
func (h *kvHash) keep(main, sub int64) error {
	h.any = true
	if main > h.compacted {
		return nil
	}
	return h.kept.Add(keptRevision{main, sub})
}

// keepPlaceholder notes the placeholder of an earlier bump, which is a key without a name. The one of this bump comes after it.
func (h *kvHash) keepPlaceholder(main, sub int64) error {
	if h.bumped {
		return nil
	}
	return h.keep(main, sub)
}

// finish walks over the records again where some were compacted, and writes the hash down.
func (h *kvHash) finish(ctx context.Context, path string, into *recovery.Contents) error {
	into.CompactRevision = -1 // as etcd says that there was none
	if h.compacted > 0 {
		into.CompactRevision = h.compacted
		if err := h.addKept(ctx, path); err != nil {
			return err
		}
	}
	if h.bumped { // what etcdutl puts there (etcdutl/snapshot/v3_snapshot.go, modifyLatestRevision)
		h.add(mvcc.RevToBytes(mvcc.Revision{Main: h.revision}, mvcc.NewRevBytes()), nil)
	}
	into.HashKV = h.sum.Sum32()
	return nil
}

func (h *kvHash) addKept(ctx context.Context, path string) error {
	kept, err := h.kept.Sorted()
	if err != nil {
		return err
	}
	next, stop := iter.Pull2(kept)
	defer stop()
	due, err, more := next()
	if err != nil {
		return err
	}
	leaveOut := h.any || h.bumped
	return readRecords(ctx, path, nil, func(r rawRecord) error {
		switch {
		case r.rev.Main > h.revision:
			return nil
		case r.rev.Main <= h.compacted:
			lives := more && due == keptRevision{r.rev.Main, r.rev.Sub}
			if lives {
				if due, err, more = next(); err != nil {
					return err
				}
			}
			// The tombstone of a key at the compaction point is left there by new versions of etcd and not by old ones.
			if leaveOut && !lives || r.tombstone && r.rev.Main == h.compacted {
				return nil
			}
		}
		h.add(r.at, r.bytes)
		return nil
	})
}
