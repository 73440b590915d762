// Package dataset builds, offline and reproducibly, databases as etcd lays them out: what a benchmark restores.
//
// A data set is made once and kept in a cache. It writes bbolt files; it starts no etcd and opens no file of unknown health.
package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

// Form is what a data set is kept as.
type Form string

const (
	// Snapshot is what the Snapshot RPC of a member streams: the image of the database, and its SHA-256 behind it.
	Snapshot Form = "snapshot"
	// Database is the file member/snap/db of a member that was stopped, with what etcd allocates in advance.
	Database Form = "db"
)

// Spec says what a data set holds. Two of the same Spec are the same, byte by byte.
type Spec struct {
	// SizeBytes is about the size of the snapshot; it decides the number of keys, see Keys.
	SizeBytes int64 `json:"sizeBytes"`
	// ValueBytes is the length of every value. Values cannot be compressed.
	ValueBytes int `json:"valueBytes"`
	// Revisions is how often every key was put; nothing is compacted.
	Revisions int `json:"revisions"`
	// Leases is how many leases there are. One key in ten is attached to one, in turn.
	Leases int `json:"leases"`
	// Seed decides the values.
	Seed uint64 `json:"seed,string"`
	// Minor is the minor version of the etcd that seems to have written it, for example "3.6"; Newest if empty. A server does not
	// start on what one of a newer minor has written.
	Minor string `json:"minor,omitempty"`
}

// Newest is the newest minor of which there are data sets.
const Newest = "3.7"

// minors are those of which there are data sets.
func minors() []string { return []string{"3.5", "3.6", Newest} }

// minor is the Minor, named or not.
func (s Spec) minor() string { return cmp.Or(s.Minor, Newest) }

// The bounds of a Spec. Below the least size the fixed part of a database is most of it; etcd's own limit of a request bounds a
// value (server/embed/config.go, DefaultMaxRequestBytes).
const (
	MinSizeBytes  = 1 << 20
	MaxSizeBytes  = 64 << 30
	MaxValueBytes = 1 << 20
	MaxRevisions  = 1000
	MaxLeases     = 1 << 20
)

// ErrBadSpec means that no data set can be made of a Spec.
var ErrBadSpec = errors.New("no such data set")

// Check returns an error wrapping ErrBadSpec, with the bound that was left, if no data set can be made of the Spec.
func (s Spec) Check() error {
	for _, bound := range []struct {
		what           string
		is, least, top int64
	}{
		{"size in bytes", s.SizeBytes, MinSizeBytes, MaxSizeBytes},
		{"bytes of a value", int64(s.ValueBytes), 0, MaxValueBytes},
		{"revisions of a key", int64(s.Revisions), 1, MaxRevisions},
		{"leases", int64(s.Leases), 0, MaxLeases},
	} {
		if bound.is < bound.least || bound.is > bound.top {
			return fmt.Errorf("%w: %s is %d, must be %d to %d", ErrBadSpec, bound.what, bound.is, bound.least, bound.top)
		}
	}
	if !slices.Contains(minors(), s.minor()) {
		return fmt.Errorf("%w: of etcd %s, must be one of %v", ErrBadSpec, s.Minor, minors())
	}
	return nil
}

// Records is the number of records in the "key" bucket.
func (s Spec) Records() int64 { return s.Keys() * int64(s.Revisions) }

// Revision is the revision that a server reports on the data set: a new store begins with 1, and every record is one more.
func (s Spec) Revision() int64 { return 1 + s.Records() }

// Keys is the number of keys that fill a snapshot of about SizeBytes.
func (s Spec) Keys() int64 {
	rough := max(s.SizeBytes/int64(s.ValueBytes+64)/int64(s.Revisions), 1) // near enough for the length of numbers in a record
	perRecord := s.bytesOf(s.record(rough*int64(s.Revisions)/2, rough))
	return max(int64(float64(s.SizeBytes)/perRecord)/int64(s.Revisions), 1)
}

// What bbolt takes for a page and for what it holds (internal/common/page.go), and how far etcd fills pages of records, which
// come in order (server/storage/backend/batch_tx.go, unsafePut). A page takes two records at least (MinKeysPerPage), and is made
// longer if they do not fit.
const (
	pageBytes        = 4096
	pageHeaderBytes  = 16
	leafElementBytes = 16
	branchBytes      = 16 + revisionBytes
	fillPercent      = 0.9
	minPerPage       = 2
	revisionBytes    = 17 // server/storage/mvcc/revision.go, revBytesLen
)

// bytesOf is what such a record takes in the file, with its part of the pages around it.
func (s Spec) bytesOf(kv *mvccpb.KeyValue) float64 {
	kv.Value = make([]byte, s.ValueBytes)
	element := float64(leafElementBytes + revisionBytes + proto.Size(kv))
	room := pageBytes*fillPercent - pageHeaderBytes
	perPage := max(math.Floor(room/element), minPerPage)
	pages := math.Ceil((pageHeaderBytes + perPage*element) / pageBytes)
	pages += 1 / math.Floor(room/branchBytes)
	return pages * pageBytes / perPage
}

// leaseTTL is what every lease was granted for, in seconds: none ends while somebody measures.
const leaseTTL = 7 * 24 * 3600

// record is one record of so many keys, counted from 0, without its value. Every key is put once before any is put again.
func (s Spec) record(n, keys int64) *mvccpb.KeyValue {
	key := n % keys
	kv := &mvccpb.KeyValue{
		Key: fmt.Appendf(nil, "/registry/dataset/%010d", key), CreateRevision: 2 + key, ModRevision: 2 + n, Version: 1 + n/keys,
	}
	if s.Leases > 0 && key%10 == 0 {
		kv.Lease = leaseID(key / 10 % int64(s.Leases))
	}
	return kv
}

// leaseID is the ID of a lease, counted from 0. Etcd draws them; the benchmark only wants them to be there.
func leaseID(n int64) int64 { return 0x1000000000000000 + n }
