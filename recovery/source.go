// Package recovery says what a backup is and what is wrong with it (Source, Inspection, SourceError), which one is best (Rank), and how
// a cluster comes back from it (Plan).
//
// It holds values and decides, and touches nothing. What touches files, processes and members are its rooms: recovery/intake takes
// what somebody hands in, recovery/fetch takes from living members and from directories, recovery/offline asks about files, and
// restores them. The rooms import this package and never the other way round.
package recovery

import "github.com/etcd-drill/etcd-drill/harness/identity"

// Kind says how a Source came to be, and so whether it carries a hash of itself.
type Kind string

const (
	// SavedSnapshot is what the Snapshot RPC of a living member streams: the image of a read transaction and the SHA-256 of
	// that image behind it (etcd's server/etcdserver/api/v3rpc/maintenance.go, Snapshot).
	SavedSnapshot Kind = "snapshot"
	// DBCopy is the file member/snap/db of a stopped or dead member. It carries no hash, so only its structure can be checked:
	// a flipped bit inside a value stays unseen.
	DBCopy Kind = "db"
)

// Known tells whether this is one of the two kinds.
func (k Kind) Known() bool { return k == SavedSnapshot || k == DBCopy }

// Source is the manifest of a checked backup: what a restore starts from. offline.Check makes it; it stays true as long as the
// file's SHA256 does.
type Source struct {
	Kind Kind   `json:"kind"`
	Path string `json:"path"`
	// Member names the member that the backup came from, if the caller knows it. offline.Check leaves it empty.
	Member    string `json:"member,omitempty"`
	SizeBytes int64  `json:"sizeBytes"`
	// SHA256 is the digest of the whole file, in hexadecimal, the trailer of a SavedSnapshot included.
	SHA256 string `json:"sha256"`
	// HashSkipped is set if the hash of a SavedSnapshot was not looked at, see offline.SkipHash.
	HashSkipped bool `json:"hashSkipped,omitempty"`
	// RestorePoint is R: the revision that a server started on the source reports. It is the highest of the greatest main
	// revision in the "key" bucket, the finished and the scheduled compaction, and 1, as in store.restore of etcd's
	// server/storage/mvcc/kvstore.go.
	RestorePoint int64 `json:"restorePoint"`
	// LastRecord is the greatest main revision in the "key" bucket, from which a bump is counted; 0 if it holds none. It is below
	// RestorePoint where a compaction has removed the last records, which were deletes, or was scheduled beyond them.
	LastRecord int64 `json:"lastRecord"`
	// Compacted is the higher of the finished and the scheduled compaction; 0 if there was none. A server started on the
	// source resumes a scheduled compaction and refuses reads below it at once, so this is the point that it shows. The file
	// itself may still hold older records, between the finished compaction and the scheduled one; some of them may already be
	// gone, so no claim can rest on them. Above Compacted the history is complete.
	Compacted int64 `json:"compacted"`
	// StorageVersion is what the "meta" bucket says, for example "3.7.0"; empty for files written by etcd before 3.6.
	StorageVersion string `json:"storageVersion,omitempty"`
	// ClusterVersion is what the "cluster" bucket says; empty for files written by etcd before 3.5.
	ClusterVersion string `json:"clusterVersion,omitempty"`
	// AuthEnabled tells whether a cluster restored from the source asks clients who they are.
	AuthEnabled bool `json:"authEnabled,omitempty"`
	// Alarms are raised, and stay so over a restore: the new cluster refuses writes until they are disarmed.
	Alarms  []AlarmRecord `json:"alarms,omitempty"`
	Keys    int64         `json:"keys"`    // live keys at the restore point
	Records int64         `json:"records"` // records in the "key" bucket: all versions, tombstones, what awaits compaction
	// MemberIDs are the members of the cluster that the source was taken from, from its "members" bucket, ascending.
	MemberIDs []identity.MemberID `json:"memberIDs,omitempty"`
	// Warnings are sentences about what is odd and yet no reason to refuse the source.
	Warnings []string `json:"warnings,omitempty"`
}
