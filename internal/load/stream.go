package load

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// operation is one write that a worker proposes.
type operation struct {
	seq   int64
	op    ledger.Op
	edits []edit // of distinct keys: etcd refuses a transaction that names one twice
	guard guard  // of a transaction
	lease int64  // of a grant
	ttl   int64  // of a grant, in seconds
}

// edit is what an operation does to one key.
type edit struct {
	key    string
	value  string
	remove bool
	lease  int64
}

// guard is the comparison on which a transaction depends.
type guard struct {
	kind guardKind
	key  string
}

type guardKind int

const (
	unguarded  guardKind = iota
	ifAbsent             // holds if the key is not there
	ifPresent            // holds if the key is there
	neverHolds           // asks for a version that no key reaches
)

const (
	hotKeys      = 8 // shared by all workers, only ever put
	maxLeases    = 4 // of one worker
	maxTxnEdits  = 4
	percentRange = 100
)

// stream yields the operations of one worker. It depends on nothing but its seed, so two runs propose the same, whatever
// becomes of the calls: keys and leases are used whether or not the write that made them went through.
type stream struct {
	options Options
	worker  int
	random  *rand.Rand
	seq     int64
	created int     // own keys proposed so far
	leases  []int64 // own leases proposed so far
	scratch []byte  // in which values are made
}

func newStream(options Options, worker int) *stream {
	return &stream{options: options, worker: worker, random: rand.New(rand.NewPCG(options.Seed, uint64(worker)))}
}

func (s *stream) next() operation {
	s.seq++
	if s.options.Profile == Puts {
		return s.single(s.put(s.freshKey()))
	}
	switch draw := s.random.IntN(percentRange); {
	case draw < 40:
		return s.single(s.put(s.freshKey()))
	case draw < 58:
		return s.single(s.put(s.ownKey()))
	case draw < 68:
		return s.single(s.delete())
	case draw < 84:
		return s.txn()
	case draw < 92:
		return s.single(s.put(fmt.Sprintf("/hot/%d", s.random.IntN(hotKeys))))
	case draw < 98 && len(s.leases) > 0:
		return s.single(s.attached(s.put(s.freshKey())))
	case len(s.leases) < maxLeases:
		return s.grant()
	default:
		return s.single(s.attached(s.put(s.ownKey())))
	}
}

func (s *stream) single(e edit) operation {
	op := ledger.OpPut
	if e.remove {
		op = ledger.OpDelete
	}
	return operation{seq: s.seq, op: op, edits: []edit{e}}
}

// grant chooses the lease's ID here and not in etcd: the ID is then known even if the answer is lost.
func (s *stream) grant() operation {
	id := int64(s.random.Uint64N(1<<63-1)) + 1
	s.leases = append(s.leases, id)
	return operation{seq: s.seq, op: ledger.OpGrant, lease: id, ttl: int64(s.options.LeaseTTL / time.Second)}
}

func (s *stream) txn() operation {
	o := operation{seq: s.seq, op: ledger.OpTxn}
	for range 2 + s.random.IntN(maxTxnEdits-1) {
		e := s.txnEdit()
		if slices.ContainsFunc(o.edits, func(other edit) bool { return other.key == e.key }) {
			e = s.put(s.freshKey())
		}
		o.edits = append(o.edits, e)
	}
	switch s.random.IntN(8) {
	case 0:
		o.guard = guard{kind: neverHolds, key: s.ownKey()}
	case 1:
		o.guard = guard{kind: ifPresent, key: s.ownKey()}
	case 2:
		o.guard = guard{kind: ifAbsent, key: o.edits[0].key}
	}
	return o
}

func (s *stream) txnEdit() edit {
	switch s.random.IntN(8) {
	case 0, 1:
		return s.delete()
	case 2, 3, 4:
		return s.put(s.ownKey())
	case 5:
		return s.attached(s.put(s.freshKey()))
	default:
		return s.put(s.freshKey())
	}
}

func (s *stream) put(key string) edit { return edit{key: key, value: s.value()} }

// delete names, one time in eight, a key that no put ever names: a delete of nothing answers with somebody else's revision.
func (s *stream) delete() edit {
	if s.random.IntN(8) == 0 {
		return edit{key: fmt.Sprintf("/w%02d/nothing", s.worker), remove: true}
	}
	return edit{key: s.ownKey(), remove: true}
}

func (s *stream) attached(e edit) edit {
	if len(s.leases) > 0 {
		e.lease = s.leases[s.random.IntN(len(s.leases))]
	}
	return e
}

func (s *stream) freshKey() string {
	s.created++
	return s.key(s.created)
}

// ownKey names a key that was proposed before, whether or not it is there now.
func (s *stream) ownKey() string {
	if s.created == 0 {
		return s.freshKey()
	}
	return s.key(1 + s.random.IntN(s.created))
}

func (s *stream) key(n int) string { return fmt.Sprintf("/w%02d/k%06d", s.worker, n) }

// value begins with the worker and the sequence, so that whoever finds it knows who wrote it and when.
func (s *stream) value() string {
	s.scratch = fmt.Appendf(s.scratch[:0], "w%02d s%06d ", s.worker, s.seq)
	for len(s.scratch) < s.options.ValueBytes {
		s.scratch = binary.LittleEndian.AppendUint64(s.scratch, s.random.Uint64())
	}
	return string(s.scratch[:s.options.ValueBytes])
}
