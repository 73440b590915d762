package identity

import (
	"encoding/json"
	"slices"
	"testing"
)

// The expected IDs were read from the log of etcd 3.7.3, bootstrapped with these URLs and the token "vector".
const vectorToken Token = "vector"

func TestComputedMemberIDIsThatOfEtcd(t *testing.T) {
	// etcd logs which member is its own, and the others without their URLs.
	if got, want := ComputeMemberID([]string{"http://127.0.0.1:23801"}, vectorToken), MemberID(0xdaf18c95c0888394); got != want {
		t.Errorf("member ID is %s, etcd's is %s", got, want)
	}
	others := []MemberID{
		ComputeMemberID([]string{"http://127.0.0.1:23802"}, vectorToken),
		ComputeMemberID([]string{"http://127.0.0.1:23803"}, vectorToken),
	}
	slices.Sort(others)
	if want := []MemberID{0x71a36e70bc37290a, 0x73c6b86ff554ad22}; !slices.Equal(others, want) {
		t.Errorf("the other members are %s, etcd's are %s", others, want)
	}
}

func TestComputedClusterIDIsThatOfEtcd(t *testing.T) {
	members := []MemberID{0xdaf18c95c0888394, 0x71a36e70bc37290a, 0x73c6b86ff554ad22}
	if got, want := ComputeClusterID(members), ClusterID(0xc11229f97d70b35a); got != want {
		t.Errorf("cluster ID is %s, etcd's is %s", got, want)
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	one := ComputeMemberID([]string{"http://a:1", "http://b:2"}, "t")
	other := ComputeMemberID([]string{"http://b:2", "http://a:1"}, "t")
	if one != other {
		t.Errorf("the order of URLs changes the member ID: %s, %s", one, other)
	}
	if a, b := ComputeClusterID([]MemberID{1, 2, 3}), ComputeClusterID([]MemberID{3, 1, 2}); a != b {
		t.Errorf("the order of members changes the cluster ID: %s, %s", a, b)
	}
}

func TestTokenAndURLDecideTheID(t *testing.T) {
	base := ComputeMemberID([]string{"http://a:1"}, "t")
	for name, other := range map[string]MemberID{
		"another token": ComputeMemberID([]string{"http://a:1"}, "u"),
		"another URL":   ComputeMemberID([]string{"http://a:2"}, "t"),
	} {
		if other == base {
			t.Errorf("%s gives the same member ID %s", name, base)
		}
	}
}

func TestFreshTokensDiffer(t *testing.T) {
	seen := map[Token]bool{}
	for range 1000 {
		token := FreshToken()
		if seen[token] {
			t.Fatalf("token %s was drawn twice", token)
		}
		seen[token] = true
	}
}

// A JSON number would lose the low bits of most IDs.
func TestJSONKeepsEveryBit(t *testing.T) {
	type ids struct {
		Cluster ClusterID
		Member  MemberID
	}
	want := ids{Cluster: 0xffffffffffffffff, Member: 0x8000000000000001}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != `{"Cluster":"ffffffffffffffff","Member":"8000000000000001"}` {
		t.Errorf("encoded as %s", text)
	}
	var got ids
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("decoded as %+v (%v), want %+v", got, err, want)
	}
	if err := json.Unmarshal([]byte(`{"Cluster":"xyz"}`), &got); err == nil {
		t.Error("a word that is no ID was read without an error")
	}
}
