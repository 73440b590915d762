package verify

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// sides is a small drill with what its source and its members hold beside keys.
type sides struct {
	*world
	source ledger.State
	leases []ledger.Lease
	shown  []ledger.State // by the members
	held   [][]ledger.Lease
	age    time.Duration
}

func newSides() *sides {
	small, history, keyspace := small()
	small.holds(history, keyspace)
	s := &sides{world: small.world, source: sideState(), leases: sideLeases(0), age: time.Second}
	s.source.Members = []ledger.MemberSeat{{ID: 11, Name: "m1"}}
	s.ev.Roster = sideState().Members
	for range s.members {
		s.shown, s.held = append(s.shown, sideState()), append(s.held, sideLeases(59))
	}
	return s
}

func sideState() ledger.State {
	return ledger.State{
		Auth: ledger.Auth{
			Enabled: true, Revision: 7,
			Users: []ledger.User{{Name: "anna", Roles: []string{"reader"}}, {Name: "root", Roles: []string{"root"}}},
			Roles: []ledger.Role{
				{Name: "reader", Permissions: []ledger.Permission{{Type: "READ", Key: "a", End: "b"}}}, {Name: "root"},
			},
		},
		Alarms: []ledger.Alarm{{Member: 11, Type: "NOSPACE"}}, StorageVersion: "3.6.0", Leases: 2,
		Members: []ledger.MemberSeat{
			{ID: 21, Name: "m1", PeerURLs: []string{"http://a"}}, {ID: 22, Name: "m2", PeerURLs: []string{"http://b"}},
			{ID: 23, Name: "m3", PeerURLs: []string{"http://c"}},
		},
	}
}

func sideLeases(left int64) []ledger.Lease {
	return []ledger.Lease{{ID: 5, TTL: 60, Left: left, Keys: []ledger.Key{"a", "b"}}, {ID: 9, TTL: 3600, Left: left}}
}

func (s *sides) verdict(t *testing.T) Verdict {
	t.Helper()
	if s.ev.Source != nil {
		s.ev.Source.State, s.ev.Source.Leases = &s.source, stream(s.leases)
	}
	for i := range s.members {
		m := &s.members[i].Member
		m.State, m.Leases, m.Age = &s.shown[i], stream(s.held[i]), s.age
	}
	return judged(t, s.world)
}

func stateClaimOf(v Verdict) Claim {
	return v.Claims[slices.IndexFunc(v.Claims, func(c Claim) bool { return c.Name == claimState })]
}

func TestStateThatWasCarriedOverIsProved(t *testing.T) {
	v := newSides().verdict(t)
	if v.Outcome != Intact || v.Compared.Leases != 2 {
		t.Errorf("%+v", v)
	}
	want := "3/3 members: 2 leases with 2 keys, auth on with 2 users and 2 roles, 1 alarms, as in the source; members listed as planned"
	if got := stateClaimOf(v); got.State != Proved || got.Text != want {
		t.Errorf("claim %+v", got)
	}
	if len(v.Hazards) != 1 || !strings.Contains(v.Hazards[0].Text, "refuses writes until the alarm is disarmed") {
		t.Errorf("hazards %+v", v.Hazards)
	}
}

// TestStateOfAMember tampers with what m2 holds beside its keys.
func TestStateOfAMember(t *testing.T) {
	for _, test := range []struct {
		name   string
		tamper func(s *sides)
		want   want
	}{
		{"auth switched off", func(s *sides) { s.shown[1].Auth.Enabled = false }, want{Damaged, Changed, "m2", "", 0}},
		{"auth revision", func(s *sides) { s.shown[1].Auth.Revision = 6 }, want{Damaged, Changed, "m2", "", 0}},
		{"user gone", func(s *sides) { s.shown[1].Auth.Users = s.shown[1].Auth.Users[1:] }, want{Damaged, Missing, "m2", "", 0}},
		{"user of nobody", func(s *sides) { s.shown[1].Auth.Users = append(s.shown[1].Auth.Users, ledger.User{Name: "zoe"}) },
			want{Damaged, Stray, "m2", "", 0}},
		{"user with more rights", func(s *sides) { s.shown[1].Auth.Users[0].Roles = []string{"root"} }, want{Damaged, Changed, "m2", "", 0}},
		{"role gone", func(s *sides) { s.shown[1].Auth.Roles = s.shown[1].Auth.Roles[:1] }, want{Damaged, Missing, "m2", "", 0}},
		{"role of nobody", func(s *sides) { s.shown[1].Auth.Roles = append(s.shown[1].Auth.Roles, ledger.Role{Name: "z"}) },
			want{Damaged, Stray, "m2", "", 0}},
		{"role with more rights", func(s *sides) { s.shown[1].Auth.Roles[0].Permissions = nil }, want{Damaged, Changed, "m2", "", 0}},
		{"alarm silent", func(s *sides) { s.shown[1].Alarms = nil }, want{Damaged, Missing, "m2", "", 0}},
		{"alarm raised", func(s *sides) {
			s.shown[1].Alarms = append(s.shown[1].Alarms, ledger.Alarm{Member: 22, Type: "CORRUPT"})
		},
			want{Damaged, Stray, "m2", "", 0}},
		{"older schema", func(s *sides) { s.shown[1].StorageVersion = "3.5.0" }, want{Damaged, Changed, "m2", "", 0}},
		{"downgrade", func(s *sides) { s.shown[1].DowngradeTo = "3.5.0" }, want{Damaged, Changed, "m2", "", 0}},
		{"zombie member", func(s *sides) { s.shown[1].Members = append(s.shown[1].Members, ledger.MemberSeat{ID: 99}) },
			want{Damaged, Stray, "m2", "", 0}},
		{"member not listed", func(s *sides) { s.shown[1].Members = s.shown[1].Members[1:] }, want{Damaged, Missing, "m2", "", 0}},
		{"learner", func(s *sides) { s.shown[1].Members[2].Learner = true }, want{Damaged, Changed, "m2", "", 0}},
		{"peer URL", func(s *sides) { s.shown[1].Members[2].PeerURLs = []string{"http://x"} }, want{Damaged, Changed, "m2", "", 0}},
		{"lease gone", func(s *sides) { s.held[1] = s.held[1][1:] }, want{Damaged, Missing, "m2", "", 0}},
		{"lease of nobody", func(s *sides) { s.held[1] = append(s.held[1], ledger.Lease{ID: 10, TTL: 5, Left: 5}) },
			want{Damaged, Stray, "m2", "", 0}},
		{"lease granted for less", func(s *sides) { s.held[1][0].TTL = 59 }, want{Damaged, Changed, "m2", "", 0}},
		{"lease that goes on for too long", func(s *sides) { s.held[1][0].Left = 61 }, want{Damaged, Changed, "m2", "", 0}},
		{"key not attached", func(s *sides) { s.held[1][0].Keys = []ledger.Key{"b"} }, want{Damaged, Missing, "m2", "a", 0}},
		{"key attached", func(s *sides) { s.held[1][1].Keys = []ledger.Key{"c"} }, want{Damaged, Stray, "m2", "c", 0}},
		{"lease of a key not in the source", func(s *sides) { s.leases[0].TTL = 0 }, want{Damaged, Missing, "", "a", 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSides()
			test.tamper(s)
			v := s.verdict(t)
			mustFind(t, v, test.want)
			if got := stateClaimOf(v); got.State != Disproved {
				t.Errorf("claim %+v", got)
			}
		})
	}
}

// TestStateThatMayDiffer holds what a sound recovery shows against the source.
func TestStateThatMayDiffer(t *testing.T) {
	for name, change := range map[string]func(s *sides){
		"a lease whose time has passed": func(s *sides) { s.held[1], s.age = s.held[1][1:], 60*time.Second },
		"a lease of which little was left at the checkpoint": func(s *sides) {
			s.leases[0].Left, s.held[1], s.age = 3, s.held[1][1:], 3*time.Second
		},
		"an alarm that the drill disarmed": func(s *sides) {
			s.shown[1].Alarms, s.ev.Disarmed = nil, []ledger.Alarm{{Member: 11, Type: "NOSPACE"}}
		},
		"a newer schema":             func(s *sides) { s.shown[1].StorageVersion = "3.10.0" },
		"no schema version":          func(s *sides) { s.shown[1].StorageVersion = "" },
		"a downgrade that has ended": func(s *sides) { s.source.DowngradeTo = "3.5.0" },
		"an auth store never used": func(s *sides) {
			s.source.Auth = ledger.Auth{}
			for i := range s.shown {
				s.shown[i].Auth = ledger.Auth{Revision: 1}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSides()
			change(s)
			if v := s.verdict(t); v.Outcome != Intact {
				t.Errorf("%s: %+v", v.Outcome, v.Findings)
			}
		})
	}
}

// TestStateOfAClusterThatGoesOn has no source: the members are held against the first of them, and against the ledger.
func TestStateOfAClusterThatGoesOn(t *testing.T) {
	kept := func() *sides {
		s := newSides()
		s.ev.Source, s.ev.Fence, s.ev.Demands.NoLoss = nil, nil, true
		s.ev.Identity.Fresh, s.ev.Identity.OldCluster = false, s.ev.Identity.PlannedCluster
		s.ev.Identity.OldMembers = []identity.MemberID{21, 22, 23}
		s.ev.Identity.PlannedMembers = nil
		s.entries = append(s.entries, ledger.Entry{
			Worker: 9, Seq: 1, Op: ledger.OpGrant, Lease: 9, TTLSeconds: 3600, Outcome: ledger.Acknowledged,
		})
		return s
	}
	s := kept()
	if v := s.verdict(t); v.Outcome != Intact || stateClaimOf(v).State != Proved {
		t.Errorf("%+v", v)
	}
	s = kept()
	s.held[2] = s.held[2][1:]
	mustFind(t, s.verdict(t), want{Damaged, Missing, "m3", "", 0})
	s = kept()
	for i := range s.held {
		s.held[i] = s.held[i][:1]
	}
	mustFind(t, s.verdict(t), want{Damaged, Missing, "m1", "", 0})
	s.age = time.Hour
	if v := s.verdict(t); v.Outcome != Intact {
		t.Errorf("a lease whose time has passed: %+v", v.Findings)
	}
}

func TestStateThatNobodyReadIsNotProved(t *testing.T) {
	s := newSides()
	s.verdict(t)
	s.members[1].State, s.members[1].Unread = nil, "no leader"
	v := judged(t, s.world)
	mustFind(t, v, want{Inconclusive, NoEvidence, "m2", "", 0})
	if got := stateClaimOf(v); got.State != LeftOut || !strings.Contains(got.Text, "no leader") {
		t.Errorf("a member: claim %+v", got)
	}
	s = newSides()
	s.verdict(t)
	s.ev.Source.State = nil
	mustFind(t, judged(t, s.world), want{Inconclusive, NoEvidence, "", "", 0})

	old, history, keyspace := small() // evidence of before states were read
	v = old.holds(history, keyspace)
	if got := stateClaimOf(v); v.Outcome != Intact || got.State != LeftOut {
		t.Errorf("%s, claim %+v", v.Outcome, got)
	}
}

// Members of a young cluster raise the version of their schema one after the other.
func TestSchemasOfMembersAreNotHeldAgainstEachOther(t *testing.T) {
	s := newSides()
	s.keepOldCluster()
	for i, m := range s.members {
		for j := range s.shown {
			s.shown[j].Members[i].ID = m.ID
		}
	}
	s.ev.Roster = s.shown[0].Members
	s.shown[1].StorageVersion = "3.5.0"
	if v := s.verdict(t); v.Outcome != Intact {
		t.Errorf("%s: %+v", v.Outcome, v.Findings)
	}
	s.shown[1].DowngradeTo = "3.5.0"
	mustFind(t, s.verdict(t), want{Damaged, Changed, "m2", "", 0})
}

func TestStateOfWhichOnlyAPartWasComparedIsSampled(t *testing.T) {
	s := newSides()
	s.verdict(t)
	s.ev.Source.State.Auth.Cut = true
	v := judged(t, s.world)
	got := stateClaimOf(v)
	if v.Outcome != Intact || got.State != Sampled || !strings.Contains(got.Text, "only the first 1000 users and roles") {
		t.Errorf("%s, claim %+v", v.Outcome, got)
	}
	s.members[1].State.Alarms = append(s.members[1].State.Alarms, ledger.Alarm{Type: "CORRUPT", Member: 1})
	if got := stateClaimOf(judged(t, s.world)); got.State != Disproved {
		t.Errorf("damage to a sampled claim: %+v", got)
	}
}
