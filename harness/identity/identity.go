// Package identity computes the IDs that etcd derives from peer URLs and the initial cluster token.
//
// It knows nothing of running clusters: it is the arithmetic that lets a restore be predicted before it is done and
// refused when its outcome would not be a new cluster. The source is etcd's own
// server/etcdserver/api/membership/member.go (computeMemberID) and cluster.go (genID).
package identity

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ClusterID identifies one logical cluster. It prints as etcdctl prints it: hexadecimal without a prefix. In JSON it is
// a string, because a float64 cannot hold every uint64.
type ClusterID uint64

// MemberID identifies one member of a logical cluster; printed and encoded like ClusterID.
type MemberID uint64

// Token is the value of etcd's --initial-cluster-token. Together with the peer URLs it decides every ID of a cluster, so
// a token that was used before, on the same URLs, yields the same cluster again.
type Token string

// FreshToken returns a token that was never used before: 128 bits from crypto/rand behind a readable prefix.
func FreshToken() Token {
	var random [16]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	return Token("drill-" + hex.EncodeToString(random[:]))
}

// ComputeMemberID returns the ID that etcd gives to the bootstrap member with these peer URLs under this token. The order
// of the URLs does not matter.
func ComputeMemberID(peerURLs []string, token Token) MemberID {
	sorted := slices.Sorted(slices.Values(peerURLs))
	sum := sha1.Sum([]byte(strings.Join(sorted, "") + string(token)))
	return MemberID(binary.BigEndian.Uint64(sum[:8]))
}

// ComputeClusterID returns the ID of the cluster that is bootstrapped with these members. The order does not matter.
func ComputeClusterID(members []MemberID) ClusterID {
	sorted := slices.Sorted(slices.Values(members))
	packed := make([]byte, 0, 8*len(sorted))
	for _, id := range sorted {
		packed = binary.BigEndian.AppendUint64(packed, uint64(id))
	}
	sum := sha1.Sum(packed)
	return ClusterID(binary.BigEndian.Uint64(sum[:8]))
}

// String prints the ID as etcdctl does.
func (id ClusterID) String() string { return strconv.FormatUint(uint64(id), 16) }

// String prints the ID as etcdctl does.
func (id MemberID) String() string { return strconv.FormatUint(uint64(id), 16) }

// MarshalText encodes the ID as the hexadecimal string that String returns.
func (id ClusterID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// MarshalText encodes the ID as the hexadecimal string that String returns.
func (id MemberID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *ClusterID) UnmarshalText(text []byte) error {
	n, err := parse(string(text))
	*id = ClusterID(n)
	return err
}

// UnmarshalText reads what MarshalText wrote.
func (id *MemberID) UnmarshalText(text []byte) error {
	n, err := parse(string(text))
	*id = MemberID(n)
	return err
}

func parse(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("parse ID %q: not a hexadecimal number of at most 64 bits", text)
	}
	return n, nil
}
