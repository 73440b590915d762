package recovery

import "github.com/etcd-drill/etcd-drill/harness/identity"

// Inspection is what can be known offline of one file or directory. offline.Inspect makes it; it holds no name and no value of any
// key.
type Inspection struct {
	Path string `json:"path"`
	Form Form   `json:"form"`
	// Database is the backend that was found, nil for none; its Content is nil if it cannot be read.
	Database *Database `json:"database,omitempty"`
	// Log is the write-ahead log that was found, nil for none.
	Log *Log `json:"log,omitempty"`
	// Versions says which releases of etcd start on a member restored from the database; empty if it cannot be read.
	Versions []Acceptance `json:"versions,omitempty"`
	// Findings are in the order of their weight, the gravest first.
	Findings []Finding `json:"findings,omitempty"`
}

// Form says what was inspected.
type Form string

// The forms that are told apart. A file whose size modulo 512 is 32 is taken for a saved snapshot, as etcd does.
const (
	FormSnapshot  Form = "snapshot"  // a saved snapshot
	FormDB        Form = "db"        // a backend without a hash, as a file or as all that a directory holds
	FormDirectory Form = "directory" // a data directory: it has a folder "member"
)

// HashState says what the integrity hash of a database proves.
type HashState string

// The states of a hash. A database in its place in a data directory never carries one.
const (
	HashGood          HashState = "good"
	HashBad           HashState = "bad"
	HashNone          HashState = "none"
	HashNotApplicable HashState = "not applicable"
)

// Database is a backend file: a saved snapshot or member/snap/db.
type Database struct {
	Path      string    `json:"path"`
	Kind      Kind      `json:"kind"`
	Hash      HashState `json:"hash"`
	SizeBytes int64     `json:"sizeBytes"`
	SHA256    string    `json:"sha256"` // of the whole file, in hexadecimal
	// ImageBytes is how far its pages reach. A saved snapshot, without its hash, is exactly that long; a backend that a server
	// wrote to is longer, unless it ran with --unsafe-no-fsync (grow in bbolt's db.go).
	ImageBytes int64    `json:"imageBytes,omitempty"`
	Warnings   []string `json:"warnings,omitempty"` // what is odd about its pages
	Content    *Content `json:"content,omitempty"`
}

// Content is what the buckets of a backend say.
type Content struct {
	// RestorePoint is R, see Source.
	RestorePoint int64 `json:"restorePoint"`
	// FinishedCompaction and ScheduledCompaction are revisions, 0 for none. Where they differ a server resumes the compaction.
	FinishedCompaction  int64 `json:"finishedCompaction"`
	ScheduledCompaction int64 `json:"scheduledCompaction"`
	Records             int64 `json:"records"` // of the "key" bucket: all versions and tombstones
	Keys                int64 `json:"keys"`    // alive at the restore point
	// ConsistentIndex and Term belong to the last raft entry that the backend has applied.
	ConsistentIndex uint64 `json:"consistentIndex"`
	Term            uint64 `json:"term"`
	// StorageVersion is empty for files of etcd before 3.6, ClusterVersion for those before 3.5.
	StorageVersion string `json:"storageVersion,omitempty"`
	ClusterVersion string `json:"clusterVersion,omitempty"`
	// DowngradeTo is the target of a downgrade that was enabled and not finished; empty for none.
	DowngradeTo string              `json:"downgradeTo,omitempty"`
	Members     []MemberRecord      `json:"members"`
	Removed     []identity.MemberID `json:"removed,omitempty"` // members that the cluster will not let in again
	Leases      LeaseFacts          `json:"leases"`
	Auth        AuthFacts           `json:"auth"`
	Alarms      []AlarmRecord       `json:"alarms,omitempty"`
}

// MemberRecord is one entry of the "members" bucket.
type MemberRecord struct {
	ID       identity.MemberID `json:"id"`
	Name     string            `json:"name,omitempty"` // empty until the member has started once
	PeerURLs []string          `json:"peerURLs"`
	Learner  bool              `json:"learner,omitempty"`
}

// LeaseFacts tells of the "lease" bucket. A restore starts every lease anew, with its granted TTL, unless a remaining one
// was checkpointed (initAndRecover and Promote in server/lease/lessor.go).
type LeaseFacts struct {
	Count int64 `json:"count"`
	// MinTTL and MaxTTL are the shortest and the longest granted TTL, in seconds.
	MinTTL int64 `json:"minTTL,omitempty"`
	MaxTTL int64 `json:"maxTTL,omitempty"`
	// Checkpointed counts those with a remaining TTL.
	Checkpointed int64 `json:"checkpointed,omitempty"`
	// Keys counts the live keys that are attached to one of these leases, LostKeys those whose lease is not there: nothing
	// will expire them.
	Keys     int64 `json:"keys"`
	LostKeys int64 `json:"lostKeys,omitempty"`
}

// AuthFacts tells of the buckets "auth", "authUsers" and "authRoles".
type AuthFacts struct {
	Enabled  bool   `json:"enabled"`
	Revision uint64 `json:"revision,omitempty"`
	Users    int    `json:"users"`
	Roles    int    `json:"roles"`
}

// AlarmRecord is one raised alarm.
type AlarmRecord struct {
	Type   string            `json:"type"` // as etcd names it: NOSPACE, CORRUPT
	Member identity.MemberID `json:"member"`
}

// Log is what a write-ahead log says.
type Log struct {
	Dir       string             `json:"dir"`
	ClusterID identity.ClusterID `json:"clusterID"`
	MemberID  identity.MemberID  `json:"memberID"`
	Segments  int                `json:"segments"`
	// First and Last are the indexes of its entries; 0 if it holds none.
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	// Term and Commit are those of the last HardState. A member that was killed may have known of a higher commit.
	Term   uint64 `json:"term"`
	Commit uint64 `json:"commit"`
	// Snapshot is the index of the last valid snapshot record: a server needs a backend at least as new (recoverSnapshot in
	// server/etcdserver/bootstrap.go).
	Snapshot uint64 `json:"snapshot"`
	// Bootstrap is set if it holds nothing but the members that a new cluster begins with, as a restore writes it.
	Bootstrap bool `json:"bootstrap,omitempty"`
	// Behind are the entries that the backend has not applied: what is lost if the backend is restored without the log.
	Behind Behind `json:"behind"`
	// Torn is set if the last record was cut off, which a server repairs.
	Torn bool `json:"torn,omitempty"`
	// Joins are the members that the entries above the backend's consistent index add.
	Joins []identity.MemberID `json:"joins,omitempty"`
}

// Behind counts the entries of a log above the consistent index of its backend.
type Behind struct {
	Entries   uint64 `json:"entries"`
	Committed uint64 `json:"committed"` // of them, those that the log itself knows to be committed
	// Writes counts the entries that can make a revision: puts, deletes, transactions, revoked leases. Each makes one at most.
	Writes uint64 `json:"writes"`
}

// Acceptance says whether one release of etcd starts on a member restored from a backend.
type Acceptance struct {
	Release string `json:"release"` // a minor release, for example "3.7"
	Starts  bool   `json:"starts"`
	Why     string `json:"why"`
}
