package verify

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// dice makes the choices of a world: a number in [0, n).
type dice func(n int) int

// world is a small model of a drill: what an etcd store does with a load, cut off at a restore point. Its slices can be
// tampered with before evidence is made of them.
type world struct {
	entries  []ledger.Entry
	history  []ledger.Record // of the source
	keyspace []ledger.Pair
	members  []memberData
	unended  bool
	ev       Evidence // without streams
}

type memberData struct {
	Member
	history  []ledger.Record
	keyspace []ledger.Pair
}

// store models the part of etcd that a load sees.
type store struct {
	rev     int64
	now     time.Time
	live    map[ledger.Key]ledger.Pair
	history []ledger.Record
	leases  map[int64]time.Time // live ones, by when they expire
	nextID  int64
}

func newStore() *store {
	return &store{
		rev: 1, now: time.Unix(1_700_000_000, 0).UTC(), live: make(map[ledger.Key]ledger.Pair),
		leases: make(map[int64]time.Time), nextID: 100,
	}
}

// apply does all changes in one transaction, marks the void ones and tells whether it owns a revision.
func (s *store) apply(changes []ledger.Change) (owns bool) {
	var sub int64
	rev := s.rev + 1
	for i, c := range changes {
		old, exists := s.live[c.Key]
		if c.Delete && !exists {
			changes[i].Void = true
			continue
		}
		r := ledger.Record{Rev: rev, Sub: sub, Key: c.Key, Delete: c.Delete}
		if c.Delete {
			delete(s.live, c.Key)
		} else {
			p := ledger.Pair{Key: c.Key, Digest: c.Digest, Create: rev, Mod: rev, Version: 1, Lease: c.Lease}
			if exists {
				p.Create, p.Version = old.Create, old.Version+1
			}
			s.live[c.Key] = p
			r.Digest, r.Create, r.Mod, r.Version, r.Lease = p.Digest, p.Create, p.Mod, p.Version, p.Lease
		}
		s.history = append(s.history, r)
		sub++
	}
	if sub > 0 {
		s.rev = rev
	}
	return sub > 0
}

// expire revokes a lease whose time has come.
func (s *store) expire(lease int64) {
	s.now = s.now.Add(time.Minute)
	delete(s.leases, lease)
	var changes []ledger.Change
	for _, key := range slices.Sorted(maps.Keys(s.live)) {
		if s.live[key].Lease == lease {
			changes = append(changes, ledger.Change{Key: key, Delete: true})
		}
	}
	s.apply(changes)
}

func (s *store) snapshot() (history []ledger.Record, keyspace []ledger.Pair) {
	keyspace = slices.Collect(maps.Values(s.live))
	slices.SortFunc(keyspace, byKey)
	return slices.Clone(s.history), keyspace
}

// worldSpec is how big a world is.
type worldSpec struct {
	steps, lost, keys, workers int
	compact                    bool
}

var ordinary = worldSpec{steps: 120, lost: 15, keys: 12, workers: 3}

// newWorld plays a load against the model: steps operations up to the restore point and some lost ones after it.
func newWorld(roll dice, spec worldSpec) *world {
	s := newStore()
	w := &world{}
	seqs := make(map[int]int64)
	key := func() ledger.Key { return ledger.Key(fmt.Sprintf("k%02d", roll(spec.keys))) }
	step := func() {
		worker := roll(spec.workers)
		seqs[worker]++
		e := ledger.Entry{Worker: worker, Seq: seqs[worker], Call: s.now, Outcome: ledger.Acknowledged}
		s.now = s.now.Add(time.Millisecond)
		put := func(i int) ledger.Change {
			c := ledger.Change{Key: key(), Digest: ledger.Digest([]byte("d"), fmt.Append(nil, worker, e.Seq, i))}
			if len(s.leases) > 0 && roll(4) == 0 {
				c.Lease = slices.Sorted(maps.Keys(s.leases))[roll(len(s.leases))]
			}
			return c
		}
		switch n := roll(20); {
		case n < 9:
			e.Op, e.Changes = ledger.OpPut, []ledger.Change{put(0)}
		case n < 13:
			e.Op, e.Changes = ledger.OpDelete, []ledger.Change{{Key: key(), Delete: true}}
		case n < 18:
			e.Op = ledger.OpTxn
			for i := range 2 + roll(3) {
				c := put(i)
				if roll(3) == 0 {
					c = ledger.Change{Key: c.Key, Delete: true}
				}
				if !slices.ContainsFunc(e.Changes, func(o ledger.Change) bool { return o.Key == c.Key }) {
					e.Changes = append(e.Changes, c)
				}
			}
		case n < 19:
			s.nextID++
			e.Op, e.Lease, e.TTLSeconds = ledger.OpGrant, s.nextID, 30
			s.leases[e.Lease] = s.now
		default:
			if len(s.leases) > 0 {
				s.expire(slices.Sorted(maps.Keys(s.leases))[roll(len(s.leases))])
			}
			seqs[worker]--
			return
		}
		luck := roll(12)
		if e.Op == ledger.OpGrant {
			luck = max(luck, 1) // a refused grant would have to take the lease back
		}
		w.entries = append(w.entries, s.play(e, luck))
	}
	for range spec.steps {
		step()
	}
	w.history, w.keyspace = s.snapshot()
	restorePoint := s.rev
	for range spec.lost {
		step()
	}
	w.fill(s, restorePoint)
	if spec.compact {
		w.compact(1 + int64(roll(int(restorePoint))))
	}
	return w
}

// play decides how a call ends: mostly well, sometimes refused, sometimes unknown with or without effect.
func (s *store) play(e ledger.Entry, luck int) ledger.Entry {
	asked := slices.Clone(e.Changes)
	switch luck {
	case 0:
		e.Outcome, e.Reason = ledger.Refused, "etcdserver: too many requests"
	case 1:
		e.Outcome, e.Reason = ledger.Unknown, "context deadline exceeded"
	case 2:
		e.Outcome, e.Reason = ledger.Unknown, "context deadline exceeded"
		s.apply(asked)
	default:
		e.Owns = s.apply(asked)
		e.Changes, e.Revision = asked, s.rev
	}
	e.Return = s.now
	return e
}

// fill completes the evidence around an untouched recovery to three members.
func (w *world) fill(s *store, restorePoint int64) {
	plan := map[string]identity.MemberID{"m1": 21, "m2": 22, "m3": 23}
	w.ev = Evidence{
		Outage: Outage{
			Fault: "kill", Victims: []string{"m1", "m2"}, Survivors: []string{"m3"}, SignalAt: s.now,
			QuorumLost: true, Observed: 3 * time.Second,
		},
		Source:  &Source{Kind: "snapshot", SHA256: "5ac3", RestorePoint: restorePoint, HashKV: 77},
		Members: 3,
		Identity: Identity{
			Fresh: true, OldCluster: 1, OldMembers: []identity.MemberID{11, 12, 13}, PlannedCluster: 2, PlannedMembers: plan,
		},
		Fence:   &Fence{OldMember: "m1", Observed: 2 * time.Second, OldAnsweredAs: 1},
		Canary:  Canary{Key: "canary", Acknowledged: true, Revision: restorePoint + 1, SeenBy: []string{"m1", "m2", "m3"}},
		Demands: Demands{QuorumLoss: true},
	}
	for _, name := range slices.Sorted(maps.Keys(plan)) {
		w.ev.Fence.Answers = append(w.ev.Fence.Answers, FenceAnswer{Member: name, ToOldID: 412, ToNewID: 200, Unchanged: true})
		w.members = append(w.members, memberData{
			Member: Member{
				Name: name, ID: plan[name], ClusterID: 2, SourceSHA256: "5ac3", Revision: restorePoint + 1,
				ReadAt: restorePoint, HashKV: 77,
			},
			history: slices.Clone(w.history), keyspace: slices.Clone(w.keyspace),
		})
	}
}

// compact takes the history at or below the point away, everywhere.
func (w *world) compact(point int64) {
	w.ev.Source.Compacted = point
	cut := func(records []ledger.Record) []ledger.Record {
		return slices.DeleteFunc(records, func(r ledger.Record) bool { return r.Rev <= point })
	}
	w.history = cut(w.history)
	for i := range w.members {
		w.members[i].history = cut(w.members[i].history)
	}
}

// everywhere tampers with the source and all members alike, so that only the ledger can tell.
func (w *world) everywhere(history func([]ledger.Record) []ledger.Record, keyspace func([]ledger.Pair) []ledger.Pair) {
	w.history, w.keyspace = history(w.history), keyspace(w.keyspace)
	for i := range w.members {
		w.members[i].history = slices.Clone(w.history)
		w.members[i].keyspace = slices.Clone(w.keyspace)
	}
}

// evidence makes streams of the slices.
func (w *world) evidence() Evidence {
	ev := w.ev
	ev.Ledger = stream(w.entries)
	if w.unended {
		ev.Ledger = func(yield func(ledger.Entry, error) bool) {
			for _, e := range w.entries {
				if !yield(e, nil) {
					return
				}
			}
			yield(ledger.Entry{}, fmt.Errorf("read ledger: %w", ledger.ErrUnended))
		}
	}
	if ev.Source != nil {
		source := *ev.Source
		source.History, source.Keyspace = stream(w.history), stream(w.keyspace)
		ev.Source = &source
	}
	ev.Reborn = nil
	for _, m := range w.members {
		m.Member.History, m.Member.Keyspace = stream(m.history), stream(m.keyspace)
		ev.Reborn = append(ev.Reborn, m.Member)
	}
	return ev
}

func stream[T any](held []T) ledger.Stream[T] {
	return func(yield func(T, error) bool) {
		for _, v := range held {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// memory is a Spill for tests.
type memory struct{ data []byte }

func (m *memory) Write(p []byte) (int, error) {
	m.data = append(m.data, p...)
	return len(p), nil
}

func (m *memory) ReadAt(p []byte, offset int64) (int, error) {
	n := copy(p, m.data[min(offset, int64(len(m.data))):])
	if n < len(p) {
		return n, fmt.Errorf("read at %d: beyond the end", offset)
	}
	return n, nil
}

func inMemory() (ledger.Spill, error) { return &memory{}, nil }

// seeded is a dice that always falls the same way.
func seeded(seed uint64) dice {
	return func(n int) int {
		seed = seed*6364136223846793005 + 1442695040888963407
		return int((seed >> 33) % uint64(max(n, 1)))
	}
}

// restorePoint is R.
func (w *world) restorePoint() int64 { return w.ev.Source.RestorePoint }
