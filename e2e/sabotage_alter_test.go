package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// alteration is one way to tamper with a database of etcd. Key and revision of what it hits are chosen among what the drill
// wrote; no two alterations of one drill hit the same key.
type alteration struct {
	name   string
	kind   verify.Kind
	choose func(m *material) (target, bool)
	apply  func(records *bolt.Bucket, t target) error
	// The reasons that the verdict must give when the source was altered, and when one member's directory was.
	inSource, onMember string
}

// target is what an alteration hits.
type target struct {
	key    string // that the verdict must name
	record []byte // key of a record in the bucket "key": main revision, '_', sub revision, and 't' for a tombstone
}

func alterations() []alteration {
	return []alteration{
		{
			name: "a key is dropped", kind: verify.Missing, choose: (*material).plainPut,
			apply:    func(records *bolt.Bucket, t target) error { return records.Delete(t.record) },
			inSource: "has no record of its put of", onMember: "does not show the put of",
		},
		{
			name: "a value is changed", kind: verify.Changed, choose: (*material).plainPut,
			apply: rewrite(func(kv *mvccpb.KeyValue) {
				kv.Value[len(kv.Value)-1] ^= 1
			}),
			inSource: "with the value digest", onMember: "value digest",
		},
		{
			name: "a key is undeleted", kind: verify.Undeleted, choose: (*material).lastDelete,
			apply:    func(records *bolt.Bucket, t target) error { return records.Delete(t.record) },
			inSource: "has no record of its delete of", onMember: "does not show the delete of",
		},
		{
			// Back by more than one, so that a watch shows it behind later revisions.
			name: "a mod revision is changed", kind: verify.Changed, choose: (*material).plainPut,
			apply:    rewrite(func(kv *mvccpb.KeyValue) { kv.ModRevision -= 5 }),
			inSource: "says that it was modified at", onMember: "mod revision",
		},
		{
			name: "a transaction is torn", kind: verify.Torn, choose: (*material).partOfTransaction,
			apply:    func(records *bolt.Bucket, t target) error { return records.Delete(t.record) },
			inSource: "is torn: of its", onMember: "without its change of",
		},
		{
			name: "a key is added that nobody wrote", kind: verify.Phantom, choose: (*material).besidePlainPut, apply: addKey,
			inSource: "it asked for no such change", onMember: "shows a change of",
		},
	}
}

// rewrite edits the key-value pair inside a record.
func rewrite(edit func(*mvccpb.KeyValue)) func(*bolt.Bucket, target) error {
	return func(records *bolt.Bucket, t target) error {
		kv := &mvccpb.KeyValue{}
		if err := proto.Unmarshal(records.Get(t.record), kv); err != nil {
			return err
		}
		edit(kv)
		packed, err := proto.Marshal(kv)
		if err != nil {
			return err
		}
		return records.Put(t.record, packed)
	}
}

// addKey puts a key that is perfectly in order, only that nobody wrote it.
func addKey(records *bolt.Bucket, t target) error {
	revision := mainOf(t.record)
	packed, err := proto.Marshal(&mvccpb.KeyValue{
		Key: []byte(t.key), Value: []byte("from nowhere"), CreateRevision: revision, ModRevision: revision, Version: 1,
	})
	if err != nil {
		return err
	}
	return records.Put(t.record, packed)
}

const recordBytes = 17 // without the mark of a tombstone

func mainOf(record []byte) int64 { return int64(binary.BigEndian.Uint64(record)) }

func isTombstone(record []byte) bool { return len(record) > recordBytes }

// material is what a drill left to be altered: the acknowledged writes, by revision, and the records of each key.
type material struct {
	writes  []ledger.Entry
	records map[string][][]byte
	taken   map[string]bool
}

// alter applies all alterations to the database in this file and returns what each of them hit.
func alter(path string, book string, all []alteration) map[string]target {
	GinkgoHelper()
	db := must(bolt.Open(path, 0o600, nil))
	hit := map[string]target{}
	err := db.Update(func(tx *bolt.Tx) error {
		records := tx.Bucket([]byte("key"))
		m, err := gather(records, book)
		if err != nil {
			return err
		}
		for _, a := range all {
			t, found := a.choose(m)
			if !found {
				return fmt.Errorf("%s: the drill wrote nothing to do it to", a.name)
			}
			m.taken[t.key], hit[a.name] = true, t
			if err := a.apply(records, t); err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
		}
		return nil
	})
	Expect(errors.Join(err, db.Close())).To(Succeed())
	return hit
}

func gather(records *bolt.Bucket, book string) (*material, error) {
	m := &material{records: map[string][][]byte{}, taken: map[string]bool{}}
	err := records.ForEach(func(record, packed []byte) error {
		kv := &mvccpb.KeyValue{}
		err := proto.Unmarshal(packed, kv)
		m.records[string(kv.Key)] = append(m.records[string(kv.Key)], slices.Clone(record))
		return err
	})
	if err != nil {
		return nil, err
	}
	byRevision := map[int64]ledger.Entry{}
	for entry, err := range ledger.ReadEntries(func() (io.ReadCloser, error) { return os.Open(book) }) {
		if err != nil {
			return nil, err
		}
		if entry.Owns {
			byRevision[entry.Revision] = entry
		}
	}
	for _, revision := range slices.Sorted(maps.Keys(byRevision)) {
		m.writes = append(m.writes, byRevision[revision])
	}
	return m, nil
}

// plainPut is an acknowledged put of a key without a lease that was never written again.
func (m *material) plainPut() (target, bool) {
	return m.first(func(e ledger.Entry, c ledger.Change, records [][]byte) bool {
		return e.Op == ledger.OpPut && c.Lease == 0 && len(records) == 1
	})
}

// lastDelete is an acknowledged delete of a key that stayed deleted.
func (m *material) lastDelete() (target, bool) {
	return m.first(func(e ledger.Entry, _ ledger.Change, records [][]byte) bool {
		return e.Op == ledger.OpDelete && len(records) > 1 && mainOf(records[len(records)-1]) == e.Revision
	})
}

// partOfTransaction is one of several changes of an acknowledged transaction: a put of a key that was never written again,
// and the last of them, so that the others keep their places.
func (m *material) partOfTransaction() (target, bool) {
	return m.first(func(e ledger.Entry, c ledger.Change, records [][]byte) bool {
		void := slices.ContainsFunc(e.Changes, func(c ledger.Change) bool { return c.Void })
		last := c.Key == e.Changes[len(e.Changes)-1].Key
		return e.Op == ledger.OpTxn && len(e.Changes) > 1 && !void && last && !c.Delete && len(records) == 1
	})
}

// leased tells whether a key had a lease in any acknowledged write.
func (m *material) leased(key ledger.Key) bool {
	return slices.ContainsFunc(m.writes, func(e ledger.Entry) bool {
		return slices.ContainsFunc(e.Changes, func(c ledger.Change) bool { return c.Key == key && c.Lease != 0 })
	})
}

// besidePlainPut is a place for one more record in the revision of a plain put.
func (m *material) besidePlainPut() (target, bool) {
	t, found := m.plainPut()
	if !found {
		return t, false
	}
	m.taken[t.key] = true
	beside := slices.Clone(t.record)
	beside[recordBytes-1]++
	return target{key: "/nobody/wrote/this", record: beside}, true
}

// first returns the last record of the first key that fits and was not taken yet. It looks from the lowest revision on,
// because a database without its last revision would only seem to be an older one. A key that ever had a lease does not fit: a
// member passes questions about leases on to its leader (server/etcdserver/v3_server.go, LeaseTimeToLive), so if the member that
// was altered leads, all of them tell what it holds.
func (m *material) first(fits func(ledger.Entry, ledger.Change, [][]byte) bool) (target, bool) {
	for _, e := range m.writes {
		for _, c := range e.Changes {
			records := m.records[string(c.Key)]
			if len(records) == 0 || m.taken[string(c.Key)] || m.leased(c.Key) || !fits(e, c, records) {
				continue
			}
			if record := records[len(records)-1]; mainOf(record) == e.Revision && isTombstone(record) == c.Delete {
				return target{key: string(c.Key), record: record}, true
			}
		}
	}
	return target{}, false
}
