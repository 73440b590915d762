package ledger

import (
	"cmp"
	"encoding/json"
	"io"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// State is what a cluster or a backup holds beside its keys, except for leases, which are a stream of their own. Lists are
// sorted: users and roles by name, members and alarms by ID.
type State struct {
	Auth    Auth         `json:"auth"`
	Alarms  []Alarm      `json:"alarms,omitempty"`
	Members []MemberSeat `json:"members"`
	// StorageVersion is that of the schema: empty for etcd 3.5, which keeps none. ClusterVersion is known of a backup only.
	StorageVersion string `json:"storageVersion,omitempty"`
	ClusterVersion string `json:"clusterVersion,omitempty"`
	// DowngradeTo is the target of a downgrade that was enabled and neither finished nor cancelled; empty for none.
	DowngradeTo string `json:"downgradeTo,omitempty"`
	// Leases is how many leases the stream holds.
	Leases int64 `json:"leases"`
}

// Auth is who may do what. Passwords and their hashes are never part of it.
type Auth struct {
	Enabled  bool   `json:"enabled"`
	Revision uint64 `json:"revision,omitempty"` // etcd's own counter of changes to users and roles
	Users    []User `json:"users,omitempty"`
	Roles    []Role `json:"roles,omitempty"`
	// Cut is set if there are more than MaxNames users or roles; only the first ones are listed then.
	Cut bool `json:"cut,omitempty"`
}

// MaxNames bounds how many users, and how many roles, an Auth lists.
const MaxNames = 1000

// User is one user with its roles, sorted.
type User struct {
	Name  string   `json:"name"`
	Roles []string `json:"roles,omitempty"`
}

// RootRole is the role that may do everything, whatever was granted to it (server/auth/store.go, RoleGet). None of its
// permissions is listed.
const RootRole = "root"

// Role is one role with its permissions, sorted.
type Role struct {
	Name        string       `json:"name"`
	Permissions []Permission `json:"permissions,omitempty"`
}

// Permission is a right on the keys from Key up to, and without, End; on Key alone if End is empty.
type Permission struct {
	Type string `json:"type"` // as etcd names it: READ, WRITE, READWRITE
	Key  Key    `json:"key"`
	End  Key    `json:"end,omitempty"`
}

// Compare orders permissions by key, then by the rest.
func (p Permission) Compare(q Permission) int {
	return cmp.Or(cmp.Compare(p.Key, q.Key), cmp.Compare(p.End, q.End), cmp.Compare(p.Type, q.Type))
}

// Alarm is one raised alarm. The member that raised it need not exist any more.
type Alarm struct {
	Member identity.MemberID `json:"member"`
	Type   string            `json:"type"` // as etcd names it: NOSPACE, CORRUPT
}

// Compare orders alarms by member, then by type.
func (a Alarm) Compare(b Alarm) int {
	return cmp.Or(cmp.Compare(a.Member, b.Member), cmp.Compare(a.Type, b.Type))
}

// MemberSeat is one entry of a member list.
type MemberSeat struct {
	ID       identity.MemberID `json:"id"`
	Name     string            `json:"name,omitempty"` // empty until the member has started once
	PeerURLs []string          `json:"peerURLs"`
	Learner  bool              `json:"learner,omitempty"`
}

// Lease is one lease. A stream of leases is sorted by ID.
type Lease struct {
	ID  int64 `json:"id"`
	TTL int64 `json:"ttl"` // as granted, in seconds
	// Left is what remains of it, in seconds. In a backup it is what was checkpointed, 0 for nothing.
	Left int64 `json:"left,omitempty"`
	Keys []Key `json:"keys,omitempty"` // attached, sorted
}

// ReadLeases returns the leases that a LineWriter wrote; its errors are those of ReadEntries.
func ReadLeases(open func() (io.ReadCloser, error)) Stream[Lease] {
	return readAll("leases", open, func(line []byte, l *Lease) error { return json.Unmarshal(line, l) })
}
