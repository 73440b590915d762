package harness

import (
	"fmt"
	"strings"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// Layout is the plan of a cluster: who its members are and which token they are bootstrapped with. It decides every ID of
// the cluster and can be computed, printed and compared without starting anything.
type Layout struct {
	Token identity.Token `json:"token"`
	Seats []Seat         `json:"seats"`
}

// Seat is one member's part of a Layout.
type Seat struct {
	Name    string `json:"name"`
	PeerURL string `json:"peerURL"`
}

// MaxMembers is the largest cluster that a drill starts. etcd advises at most 7.
const MaxMembers = 9

// Placer knows the addresses of members by their names. Every Site is one.
type Placer interface {
	Place(name string) (Place, error)
}

// NewLayout seats members m1 … mN at their places under this token.
func NewLayout(places Placer, size int, token identity.Token) (Layout, error) {
	if size < 1 || size > MaxMembers {
		return Layout{}, fmt.Errorf("lay out cluster: size %d is not between 1 and %d", size, MaxMembers)
	}
	layout := Layout{Token: token}
	for i := range size {
		name := fmt.Sprintf("m%d", i+1)
		place, err := places.Place(name)
		if err != nil {
			return Layout{}, fmt.Errorf("lay out cluster: %w", err)
		}
		layout.Seats = append(layout.Seats, Seat{Name: name, PeerURL: place.PeerURL})
	}
	return layout, nil
}

// InitialCluster is the value of etcd's --initial-cluster flag for this layout.
func (l Layout) InitialCluster() string {
	parts := make([]string, 0, len(l.Seats))
	for _, seat := range l.Seats {
		parts = append(parts, seat.Name+"="+seat.PeerURL)
	}
	return strings.Join(parts, ",")
}

// MemberID predicts the ID of the seat's member.
func (l Layout) MemberID(seat Seat) identity.MemberID {
	return identity.ComputeMemberID([]string{seat.PeerURL}, l.Token)
}

// ClusterID predicts the ID of the cluster.
func (l Layout) ClusterID() identity.ClusterID {
	members := make([]identity.MemberID, 0, len(l.Seats))
	for _, seat := range l.Seats {
		members = append(members, l.MemberID(seat))
	}
	return identity.ComputeClusterID(members)
}

// Names lists the members in the order of their seats.
func (l Layout) Names() []string {
	names := make([]string, 0, len(l.Seats))
	for _, seat := range l.Seats {
		names = append(names, seat.Name)
	}
	return names
}

// QuorumOf returns how many of size members make a quorum.
func QuorumOf(size int) int { return size/2 + 1 }

// TolerableLoss returns how many of size members can be lost while quorum stays: (size-1)/2.
func TolerableLoss(size int) int { return (size - 1) / 2 }
