// Package verify is the judge: a pure function from the evidence that a drill left to a verdict.
//
// It reads streams and plain values and does nothing else. It knows neither etcd nor containers nor files, so a stored
// drill can be judged again, offline, by a newer judge.
package verify

import (
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// Evidence is everything a verdict rests on. The streams can be read several times.
type Evidence struct {
	// Witness says what vouches for the source. Where it is BySource there is no Ledger, Outage or Fence, and no demand.
	Witness Witness
	// Ledger yields every entry of the load, in the order in which they were written. It ends with an error wrapping
	// ledger.ErrUnended if the ledger was not ended cleanly.
	Ledger ledger.Stream[ledger.Entry]
	// Outage is the disaster as it was observed.
	Outage Outage
	// Source is what every member was restored from; nil on a route without a restore, where the members' own history is the
	// only one: the first member then is what the ledger and the other members are held against, R is its ReadAt.
	Source *Source
	// Reborn holds what each member of the recovered cluster shows. Members is how many there must be.
	Reborn  []Member
	Members int
	// Identity compares the IDs before, as planned, and after.
	Identity Identity
	// Fence tells how the recovered cluster met an old member; nil where the route has none.
	Fence *Fence
	// Roster is what the member list of the recovered cluster must be; nil if that was not written down.
	Roster []ledger.MemberSeat
	// Disarmed are the alarms that the drill itself disarmed on the recovered cluster, before its members' states were read.
	Disarmed []ledger.Alarm
	// Watches are the clients that watched through the disaster; none in most drills.
	Watches []Watch
	// Canary is the first write to the recovered cluster.
	Canary Canary
	// Demands says what the drill must have exercised to count.
	Demands Demands
	// Manifest and Freshness are of a drill BySource, and nil where nobody asked for them.
	Manifest  *Manifest
	Freshness *Freshness
	// Living is what the members of the cluster that the source was saved from said of it; nil where there was none.
	Living []Said
}

// Outage is the disaster as it was observed, not as it was intended.
type Outage struct {
	Fault     string    `json:"fault"`
	Victims   []string  `json:"victims"`
	Survivors []string  `json:"survivors"`
	SignalAt  time.Time `json:"signalAt"` // the signal that hit the first victim
	// QuorumLost is set only where the loss was proved for Observed. With survivors, Judge wants at least 3 s of it; without,
	// every exit was seen and Observed may be 0.
	QuorumLost bool          `json:"quorumLost"`
	Observed   time.Duration `json:"observed"`
	// Reason says why the loss of quorum was not proved; empty if it was.
	Reason string `json:"reason,omitempty"`
}

// Source is the backup, read offline before the restore.
type Source struct {
	Kind         string `json:"kind"` // "snapshot" or "db"
	SHA256       string `json:"sha256"`
	RestorePoint int64  `json:"restorePoint"` // R, see docs
	Compacted    int64  `json:"compacted"`    // the compaction point: records at or below it may be gone; 0 or less for none
	HashKV       uint32 `json:"hashKV"`       // at R, or at BumpedTo, computed offline
	// HashFrom is the compaction revision above which HashKV was computed; 0 or less for none.
	HashFrom int64 `json:"hashFrom,omitempty"`
	// BumpedTo is the revision with which the members begin instead of R, with everything below it compacted; 0 if the recovery
	// did not bump it. Members can then show no history, and keyspace and HashKV at BumpedTo only: the keyspace must still be the
	// source's at R, because a bump changes no key.
	BumpedTo int64 `json:"bumpedTo,omitempty"`
	// History holds every record above the compaction point, tombstones included. Keyspace holds every key at R.
	History  ledger.Stream[ledger.Record] `json:"-"`
	Keyspace ledger.Stream[ledger.Pair]   `json:"-"`
	// State and Leases are what it holds beside keys; State is nil if that was not read. A lease without a TTL stands for one
	// that is not there although keys are attached to it.
	State  *ledger.State               `json:"state,omitempty"`
	Leases ledger.Stream[ledger.Lease] `json:"-"`
}

// Member is what one member of the recovered cluster shows when it is read by itself.
type Member struct {
	Name      string             `json:"name"`
	ID        identity.MemberID  `json:"id"`
	ClusterID identity.ClusterID `json:"clusterID"`
	// SourceSHA256 is the digest of the file that this member was restored from; empty on a route without a restore. Beside a
	// Source, an empty one makes the verdict inconclusive, unless the member Joined the living cluster with an empty directory.
	SourceSHA256 string `json:"sourceSHA256,omitempty"`
	Joined       bool   `json:"joined,omitempty"`
	// Extent says how much of the member was read on purpose; everything if empty. HashKV and the revision always are.
	Extent Extent `json:"extent,omitempty"`
	// Revision is what the member reported when all had settled; HashKV is the hash it gave for ReadAt.
	Revision int64  `json:"revision"`
	ReadAt   int64  `json:"readAt"` // the revision at which Keyspace was read; equals R, or the source's BumpedTo
	HashKV   uint32 `json:"hashKV"`
	// Gap tells how the member met requests below BumpedTo; nil if the recovery did not bump the revision.
	Gap *Gap `json:"gap,omitempty"`
	// History is what a watch from the compaction point + 1 to R shows; Keyspace what a serializable range at R shows.
	History  ledger.Stream[ledger.Record] `json:"-"`
	Keyspace ledger.Stream[ledger.Pair]   `json:"-"`
	// SameHistory and SameKeyspace are set where whoever supplies the evidence has found them to be, byte for byte, those of the
	// source, or of the first member where there is no source. They are then not read again to be held against each other.
	SameHistory  bool `json:"-"`
	SameKeyspace bool `json:"-"`
	// State and Leases are what the member holds beside keys, as in Source. Age is how long leases may have run on its cluster
	// when they were read, at most.
	State  *ledger.State               `json:"state,omitempty"`
	Leases ledger.Stream[ledger.Lease] `json:"-"`
	Age    time.Duration               `json:"ageNanoseconds,omitempty"`
	// Unread says why State is nil.
	Unread string `json:"unread,omitempty"`
}

// Extent is how much of a member was held against a source that is too large for all of it.
type Extent string

const (
	// Everything is history, keys and hash.
	Everything Extent = ""
	// KeysOnly leaves the history out, which HashKV covers.
	KeysOnly Extent = "keys"
	// HashOnly leaves out the keys, too.
	HashOnly Extent = "hash"
)

// Gap tells how a member met requests for revisions that a bump took away. That it answers at BumpedTo is the control.
type Gap struct {
	Asked    []int64 `json:"asked"`    // revisions of serializable ranges
	Answered []int64 `json:"answered"` // those that were answered, and must not have been
	// WatchFrom is where a watch began; WatchCompacted the compaction point with which it was cancelled, 0 if it was let in.
	WatchFrom      int64 `json:"watchFrom"`
	WatchCompacted int64 `json:"watchCompacted"`
}

// Identity holds the IDs of the cluster that was lost, of the plan, and what a fresh one must differ from.
type Identity struct {
	// Fresh says which is demanded: a new cluster (after a restore) or the old one (after a plain restart).
	Fresh bool `json:"fresh"`
	// OldCluster is 0 where only a backup is known, which names members and no cluster.
	OldCluster     identity.ClusterID  `json:"oldCluster"`
	OldMembers     []identity.MemberID `json:"oldMembers"`
	PlannedCluster identity.ClusterID  `json:"plannedCluster"`
	// PlannedMembers are by member name: predicted, or drawn by etcd when the member was added to the living cluster. Where the
	// old cluster goes on, they are only those that were added.
	PlannedMembers map[string]identity.MemberID `json:"plannedMembers"`
}

// Fence tells how an old member, started on its old directory beside the complete new cluster, was met.
type Fence struct {
	OldMember string        `json:"oldMember"`
	Observed  time.Duration `json:"observed"`
	// SizeOne is set for a cluster of one: the old member comes up alone, and nothing fences it from clients.
	SizeOne bool `json:"sizeOne,omitempty"`
	// SetAside is set if the directory was copied before a wipe destroyed the original.
	SetAside bool `json:"setAside,omitempty"`
	// Removed is set where the cluster goes on under the same ID and the old member was removed from it: its peers must tell
	// it, upon which it ends by itself. OldEnded tells whether it did, OldSaid is the line with which it said so, empty if it
	// did not. No Answer has statuses then.
	Removed  bool   `json:"removed,omitempty"`
	OldEnded bool   `json:"oldEnded,omitempty"`
	OldSaid  string `json:"oldSaid,omitempty"`
	// OldLed and OldServed tell whether the old member ever had a leader or served a client during the observation.
	// OldAnsweredAs is the cluster ID under which it answered at its peer port: the control that it lived at all.
	OldLed        bool               `json:"oldLed"`
	OldServed     bool               `json:"oldServed"`
	OldAnsweredAs identity.ClusterID `json:"oldAnsweredAs,omitempty"`
	// Answers holds one row per new member.
	Answers []FenceAnswer `json:"answers"`
}

// FenceAnswer is one new member's part of the fence observation.
type FenceAnswer struct {
	Member string `json:"member"`
	// ToOldID and ToNewID are the HTTP status codes that a peer request with the old and the new cluster ID was given. etcd
	// answers 412 to a foreign ID; the request with the new ID is the positive control and must be answered otherwise.
	ToOldID int `json:"toOldID"`
	ToNewID int `json:"toNewID"`
	// Unchanged is set if cluster ID, member ID, revision and HashKV were the same before and after; Change says what was not.
	Unchanged bool   `json:"unchanged"`
	Change    string `json:"change,omitempty"`
}

// Canary is a write to the recovered cluster that only the drill makes.
type Canary struct {
	Key          ledger.Key `json:"key"`
	Acknowledged bool       `json:"acknowledged"`
	Revision     int64      `json:"revision"`
	// SeenBy names the members on which a serializable read returned the write.
	SeenBy []string `json:"seenBy"`
}

// Demands says what a drill must have exercised; a drill that did not is inconclusive, because it tested too little.
type Demands struct {
	QuorumLoss     bool `json:"quorumLoss"`     // the outage must have been observed to cost the quorum
	UnknownEntries bool `json:"unknownEntries"` // the load must have been hit in flight
	LostWrites     bool `json:"lostWrites"`     // the route is one that loses acknowledged writes
	// Unflushed is set where the source is the database of a member that was killed. It may lack what the member had in memory, and
	// it is luck if it does not, which nothing demands.
	Unflushed bool `json:"unflushed,omitempty"`
	// NoLoss is set on routes that must keep every acknowledged write; a lost one is then damage.
	NoLoss bool `json:"noLoss"`
}
