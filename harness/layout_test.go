package harness

import (
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

func TestLayoutSeatsMembersInOrder(t *testing.T) {
	layout, err := NewLayout(HostPlaces{}, 3, "token")
	if err != nil {
		t.Fatal(err)
	}
	want := "m1=http://m1:2380,m2=http://m2:2380,m3=http://m3:2380"
	if got := layout.InitialCluster(); got != want {
		t.Errorf("initial cluster is %s, want %s", got, want)
	}
}

func TestLayoutRefusesImpossibleSizes(t *testing.T) {
	for _, size := range []int{-1, 0, MaxMembers + 1} {
		if layout, err := NewLayout(HostPlaces{}, size, "token"); err == nil {
			t.Errorf("size %d was laid out as %v", size, layout)
		}
	}
}

func TestLayoutPredictsIDs(t *testing.T) {
	layout, err := NewLayout(HostPlaces{}, 3, "one")
	if err != nil {
		t.Fatal(err)
	}
	other := layout
	other.Token = "two"
	if layout.ClusterID() == other.ClusterID() {
		t.Error("another token yields the same cluster")
	}
	seat := layout.Seats[1]
	if got, want := layout.MemberID(seat), identity.ComputeMemberID([]string{"http://m2:2380"}, "one"); got != want {
		t.Errorf("member ID of %s is %s, want %s", seat.Name, got, want)
	}
}

func TestQuorumArithmetic(t *testing.T) {
	for size := 1; size <= MaxMembers; size++ {
		quorum, spare := QuorumOf(size), TolerableLoss(size)
		if quorum <= size/2 || quorum > size {
			t.Errorf("quorum of %d is %d", size, quorum)
		}
		if size-spare < quorum {
			t.Errorf("of %d members %d may be lost, which leaves less than the quorum of %d", size, spare, quorum)
		}
		if size-(spare+1) >= quorum {
			t.Errorf("of %d members %d may be lost, and one more would still leave the quorum of %d", size, spare, quorum)
		}
	}
}
