package recovery

// Contents tells what offline.Extract found.
type Contents struct {
	// HashKV is the hash at the restore point as a server started on the source computes it; with a bump the hash at
	// offline.Extraction.BumpedTo, of what was live at the restore point and the placeholder of the bump. CompactRevision is the compaction
	// point that it was computed with, -1 for none; hashes can be compared only if that is the same.
	//
	// A server that itself compacted up to exactly the revision that it is asked for answers with the hash that it stored at
	// the compaction, over the span before it (server/storage/mvcc/hash.go, HashByRev). Asked for revision 0, the latest, it
	// computes.
	HashKV          uint32 `json:"hashKV"`
	CompactRevision int64  `json:"compactRevision"`
	Records         int64  `json:"records"` // lines in History
	Keys            int64  `json:"keys"`    // lines in Keyspace
	Leases          int64  `json:"leases"`  // lines in Leases
	// KeyNames is the SHA-256, in hexadecimal, over the names of all live keys in their order, each with its length before it as
	// eight bytes, big-endian.
	KeyNames string `json:"keyNames"`
	// Beat is what the key of offline.Extraction.Beat holds; nil if none was asked for.
	Beat *Beat `json:"beat,omitempty"`
	// Kubernetes is nil unless an API server wrote what the source holds.
	Kubernetes *Kubernetes `json:"kubernetes,omitempty"`
}
