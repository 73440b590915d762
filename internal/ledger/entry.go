// Package ledger holds the drill's written evidence as pure data: what the load asked for and what came of it (Entry), and
// what a cluster or a backup says it holds (Record, Pair).
//
// All of it is kept as sorted streams; no type here holds a whole drill in memory. The package knows neither etcd nor
// files: it reads from an io.Reader and writes to an io.Writer.
package ledger

import (
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// Outcome tells what is known about a write after its call returned.
type Outcome string

const (
	// Acknowledged means that the response reached the client.
	Acknowledged Outcome = "acknowledged"
	// Refused means that etcd said no before the proposal, or from apply: the write certainly has no effect. The errors that
	// count are a closed list, kept with the load.
	Refused Outcome = "refused"
	// Unknown means everything else. A timeout is unknown, never lost.
	Unknown Outcome = "unknown"
)

// Op is the request that was made.
type Op string

// The operations of the load.
const (
	OpPut    Op = "put"
	OpDelete Op = "delete"
	OpTxn    Op = "txn"
	OpGrant  Op = "grant" // a lease was granted; owns no revision
)

// Change is what a write does to one key.
type Change struct {
	Key    Key    `json:"k"`
	Delete bool   `json:"del,omitempty"`
	Digest string `json:"d,omitempty"` // of the value put; empty for a delete
	Lease  int64  `json:"l,omitempty"` // the lease attached by the put; 0 for none
	// Void is set on a delete of an acknowledged write that found no key: it leaves no trace in the history.
	Void bool `json:"void,omitempty"`
}

// Entry is one write of the load: who made it, what it asked for, what became of it. Worker and Seq together are unique;
// Seq grows by one with every call of a worker, and a worker has one call outstanding at most.
type Entry struct {
	Worker  int      `json:"w"`
	Seq     int64    `json:"s"`
	Op      Op       `json:"op"`
	Changes []Change `json:"c,omitempty"`
	// Lease and TTLSeconds are set for OpGrant.
	Lease      int64     `json:"lease,omitempty"`
	TTLSeconds int64     `json:"ttl,omitempty"`
	Call       time.Time `json:"call"`
	Return     time.Time `json:"ret"`
	Outcome    Outcome   `json:"out"`
	// Revision is the revision of the response's header; 0 unless acknowledged. It belongs to this entry only if Owns is set:
	// a delete of nothing and a transaction that wrote nothing carry the revision of somebody else.
	Revision int64              `json:"rev,omitempty"`
	Owns     bool               `json:"own,omitempty"`
	Member   identity.MemberID  `json:"m,omitempty"`
	Cluster  identity.ClusterID `json:"cl,omitempty"`
	// Reason is the error's text for refused and unknown entries.
	Reason string `json:"why,omitempty"`
}

// Record is one record of a key-value history, as a backup's "key" bucket or a watch shows it. A history is sorted by Rev,
// then by Sub.
type Record struct {
	Rev     int64  `json:"r"`           // main revision: the transaction that wrote the record
	Sub     int64  `json:"s,omitempty"` // position in the transaction, from 0 without gaps
	Key     Key    `json:"k"`
	Delete  bool   `json:"del,omitempty"` // a tombstone; all fields below are then empty
	Digest  string `json:"d,omitempty"`
	Create  int64  `json:"cr,omitempty"`
	Mod     int64  `json:"mr,omitempty"` // as stored in the record; equals Rev unless the file was tampered with
	Version int64  `json:"v,omitempty"`
	Lease   int64  `json:"l,omitempty"`
}

// Pair is one key of a keyspace at a fixed revision. A keyspace is sorted by Key, bytewise, without duplicates.
type Pair struct {
	Key     Key    `json:"k"`
	Digest  string `json:"d"`
	Create  int64  `json:"cr"`
	Mod     int64  `json:"mr"`
	Version int64  `json:"v"`
	Lease   int64  `json:"l,omitempty"`
}
