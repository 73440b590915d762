package ledger

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestCoveredNamesCanBeComparedAndNotRead(t *testing.T) {
	cover, other := Coverer([]byte("one")), Coverer([]byte("two"))
	a, b := cover("/secret/a"), cover("/secret/b")
	if a == b || a != cover("/secret/a") || a == other("/secret/a") || strings.Contains(string(a), "secret") || len(a) != 36 {
		t.Errorf("%q, %q", a, b)
	}
	if string(a) == coverMark+Digest([]byte("one"), []byte("/secret/a")) {
		t.Error("the digest of a name is that of a value")
	}
}

func TestWhatIsBesideKeysNamesThemToo(t *testing.T) {
	cover := Coverer([]byte("one"))
	lease := Lease{ID: 5, Keys: []Key{"/secret/a", "/secret/b", "/secret/c"}}
	state := State{Auth: Auth{Roles: []Role{{Name: "r", Permissions: []Permission{
		{Type: "READ", Key: "/secret/a"}, {Type: "READ", Key: "/secret/b", End: "/secret/c"},
	}}}}}
	covered, hidden := lease.Cover(cover), state.Cover(cover)
	text, err := json.Marshal([]any{covered, hidden})
	if err != nil || strings.Contains(string(text), "secret") || !slices.IsSorted(covered.Keys) || len(covered.Keys) != 3 {
		t.Errorf("%s, %v", text, err)
	}
	permissions := hidden.Auth.Roles[0].Permissions
	endless := slices.IndexFunc(permissions, func(p Permission) bool { return p.End == "" })
	if !slices.IsSortedFunc(permissions, Permission.Compare) || endless < 0 {
		t.Errorf("%+v", permissions)
	}
	if lease.Keys[0] != "/secret/a" || state.Auth.Roles[0].Permissions[0].Key != "/secret/a" {
		t.Error("the originals were changed")
	}
}
