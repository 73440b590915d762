package recovery

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

var update = flag.Bool("update", false, "renew the golden files")

func goodSource(kind Kind, path string) Source {
	return Source{Kind: kind, Path: path, SHA256: "00ff", RestorePoint: 7, LastRecord: 7}
}

func oldLayout() harness.Layout {
	return harness.Layout{Token: "etcd-cluster", Seats: []harness.Seat{
		{Name: "m1", PeerURL: "http://m1:2380"}, {Name: "m2", PeerURL: "http://m2:2380"}, {Name: "m3", PeerURL: "http://m3:2380"},
	}}
}

func TestCommandsAreWhatAPersonWouldType(t *testing.T) {
	for name, asked := range map[string]struct {
		source Source
		opts   []PlanOption
	}{
		"snapshot": {goodSource(SavedSnapshot, "/backup/etcd.db"), nil},
		"db":       {goodSource(DBCopy, "/back up/it's m3's $db"), nil},
		"bump":     {goodSource(SavedSnapshot, "/backup/etcd.db"), []PlanOption{WithBump(1_000_000_000), WithMarkCompacted()}},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := NewPlan(asked.source, oldLayout(), "drill-0123456789abcdef", asked.opts...)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(plan.Commands(), "\n") + "\n"
			golden := filepath.Join("testdata", "commands-"+name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(recoverytest.ReadAll(t, golden)); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestQuoteSurvivesAShell(t *testing.T) {
	for _, word := range []string{"", "plain", "a b", "it's", `\x $HOME "q" *`, "m1=http://m1:2380,m2=http://m2:2380", "~"} {
		out, err := exec.Command("/bin/sh", "-c", "printf %s "+quote(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q became %q, %v", word, out, err)
		}
	}
}

func TestAPlanPredictsWhatTheLayoutSays(t *testing.T) {
	old := oldLayout()
	plan, err := NewPlan(goodSource(DBCopy, "/db"), old, "fresh", WithDataDir(func(m string) string { return "/var/" + m }))
	if err != nil {
		t.Fatal(err)
	}
	want := harness.Layout{Token: "fresh", Seats: old.Seats}
	if !reflect.DeepEqual(plan.Layout, want) || plan.ClusterID != want.ClusterID() || !plan.SkipHashCheck {
		t.Errorf("got %+v", plan)
	}
	for i, member := range plan.Members {
		seat := old.Seats[i]
		wantMember := MemberPlan{
			Name: seat.Name, PeerURL: seat.PeerURL, InitialCluster: old.InitialCluster(), DataDir: "/var/" + seat.Name,
			MemberID: want.MemberID(seat),
		}
		if member != wantMember {
			t.Errorf("got %+v, want %+v", member, wantMember)
		}
	}
	smaller, err := NewPlan(goodSource(SavedSnapshot, "/s"), old, "fresh", WithSeats(old.Seats[0]), WithoutHashCheck())
	if err != nil || len(smaller.Members) != 1 || !smaller.SkipHashCheck {
		t.Errorf("got %+v, %v", smaller, err)
	}
}

func TestAPlanRefuses(t *testing.T) {
	old, good := oldLayout(), goodSource(SavedSnapshot, "/s")
	known := good
	known.MemberIDs = []identity.MemberID{harness.Layout{Token: "other"}.MemberID(old.Seats[1])}
	seats := func(s ...harness.Seat) PlanOption { return WithSeats(s...) }
	cases := []struct {
		name  string
		src   Source
		token identity.Token
		opt   PlanOption
		want  error
	}{
		{"old token", good, "etcd-cluster", nil, ErrTokenReused},
		{"old token on fewer members", good, "etcd-cluster", seats(old.Seats[0]), ErrTokenReused},
		{"no token", good, "", nil, ErrTokenReused},
		{"token of the source's members", known, "other", nil, ErrTokenReused},
		{"nothing", Source{}, "t", nil, ErrNoSource},
		{"unchecked", Source{Kind: DBCopy, Path: "/x"}, "t", nil, ErrNoSource},
		{"odd kind", goodSource("tape", "/x"), "t", nil, ErrNoSource},
		{"no members", good, "t", seats(), ErrBadLayout},
		{"name twice", good, "t", seats(old.Seats[0], old.Seats[0]), ErrBadLayout},
		{"huge", good, "t", seats(manySeats(10)...), ErrBadLayout},
		{"URL twice", good, "t", seats(old.Seats[0], harness.Seat{Name: "m9", PeerURL: old.Seats[0].PeerURL}), ErrBadLayout},
		{"URL is no URL", good, "t", seats(harness.Seat{Name: "m1", PeerURL: "m1:2380"}), ErrBadLayout},
		{"two URLs", good, "t", seats(harness.Seat{Name: "m1", PeerURL: "http://m1:2380,http://m1:2381"}), ErrBadLayout},
		{"name is longer than that of a file", good, "t",
			seats(harness.Seat{Name: strings.Repeat("m", 300), PeerURL: "http://m1:2380"}), ErrBadLayout},
		{"name leaves the folder", good, "t", seats(harness.Seat{Name: "../m1", PeerURL: "http://m1:2380"}), ErrBadLayout},
		{"URL without port", good, "t", seats(harness.Seat{Name: "m1", PeerURL: "http://m1"}), ErrBadLayout},
		{"URL read differently", good, "t", seats(harness.Seat{Name: "m1", PeerURL: "HTTP://m1:2380"}), ErrBadLayout},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			opts := []PlanOption{}
			if c.opt != nil {
				opts = append(opts, c.opt)
			}
			if plan, err := NewPlan(c.src, old, c.token, opts...); !errors.Is(err, c.want) {
				t.Errorf("got %+v, %v; want %v", plan, err, c.want)
			}
		})
	}
}

func manySeats(n int) []harness.Seat {
	var seats []harness.Seat
	for i := range n {
		seats = append(seats, harness.Seat{Name: fmt.Sprintf("m%d", i), PeerURL: fmt.Sprintf("http://m%d:2380", i)})
	}
	return seats
}

func TestCommandsNameASeparateLog(t *testing.T) {
	plan, err := NewPlan(goodSource(SavedSnapshot, "/backup/etcd.db"), oldLayout(), "fresh",
		WithSeparateWAL(func(member string) string { return "/wal/" + member }))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range plan.Commands() {
		if want := "--wal-dir /wal/" + plan.Members[i].Name; !strings.HasSuffix(line, want) {
			t.Errorf("%s does not end with %s", line, want)
		}
	}
}
