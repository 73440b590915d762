package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// side is what a member's state is held against: the source's, or that of the first member on a route without one.
type side struct {
	member string // the member that it is; empty for the source
	name   string
	state  *ledger.State
	leases ledger.Stream[ledger.Lease]
}

// sideCount is what the claim on the state counts.
type sideCount struct {
	members int // whose state was compared
	leases  int64
	keys    int64 // attached to them
	expired int64 // of the source's leases, too short to be there still
}

// checkState compares what a restore must carry over beside the keys, and the member list, which it must not.
func (j *judge) checkState() error {
	want := j.sideOf()
	if want == nil {
		return nil // evidence of a drill that did not read it yet
	}
	if want.state != nil {
		j.hazardsOf(want)
		if err := j.checkGrants(want); err != nil {
			return err
		}
	}
	for _, m := range j.ev.Reborn {
		switch {
		case m.State == nil:
			j.notes.doubted(claimState, Finding{Kind: NoEvidence, Member: m.Name},
				"what member %s holds beside its keys was not read: %s", m.Name, cmp.Or(m.Unread, "nobody tried"))
			continue
		case want.state == nil:
			j.notes.doubted(claimState, Finding{Kind: NoEvidence}, "what the source holds beside its keys was not read")
			continue
		}
		j.checkRoster(m)
		j.checkAuth(want, m)
		j.checkAlarms(want, m)
		j.checkVersions(want, m)
		if err := j.checkLeases(want, m); err != nil {
			return err
		}
		j.sides.members++
	}
	return nil
}

// sideOf returns nil if nobody's state was read.
func (j *judge) sideOf() *side {
	first := slices.IndexFunc(j.ev.Reborn, func(m Member) bool { return m.State != nil })
	switch s := j.ev.Source; {
	case s != nil && (s.State != nil || first >= 0):
		return &side{name: "the source", state: s.State, leases: s.Leases}
	case s != nil || first < 0:
		return nil
	default:
		m := j.ev.Reborn[first]
		return &side{member: m.Name, name: "member " + m.Name, state: m.State, leases: m.Leases}
	}
}

// hazardsOf tells of what a restore carries over and nobody expects.
func (j *judge) hazardsOf(want *side) {
	for _, a := range want.state.Alarms {
		j.notes.hazard("%s carries alarm %s of member %s: a cluster restored from it refuses writes until the alarm is disarmed",
			want.name, a.Type, a.Member)
	}
	if to := want.state.DowngradeTo; to != "" {
		j.notes.hazard("%s is in the middle of a downgrade to %s, and so is a cluster restored from it: cancel it, or finish it", want.name, to)
	}
}

// checkRoster demands exactly the planned members, all of them voters: a member of the old cluster that is still listed would
// count towards the quorum and be let in.
func (j *judge) checkRoster(m Member) {
	if len(j.ev.Roster) == 0 {
		return
	}
	want := slices.SortedFunc(slices.Values(j.ev.Roster), func(a, b ledger.MemberSeat) int { return cmp.Compare(a.ID, b.ID) })
	note := func(kind Kind, seat ledger.MemberSeat, reason string) {
		j.notes.damaged(claimState, Finding{Kind: kind, Member: m.Name}, "the member list of %s %s %s (%s, %s)",
			m.Name, reason, seat.ID, seatName(seat), strings.Join(seat.PeerURLs, " "))
	}
	match(want, m.State.Members, func(a, b ledger.MemberSeat) int { return cmp.Compare(a.ID, b.ID) },
		func(want, got *ledger.MemberSeat) {
			switch {
			case got == nil:
				note(Missing, *want, "lacks planned member")
			case want == nil:
				note(Stray, *got, "holds a member that was not planned:")
			case got.Learner != want.Learner:
				note(Changed, *got, "holds as a learner, or no longer as one, member")
			case got.Name != want.Name || !slices.Equal(got.PeerURLs, want.PeerURLs):
				note(Changed, *got, fmt.Sprintf("holds otherwise than planned (%s, %s) member",
					seatName(*want), strings.Join(want.PeerURLs, " ")))
			}
		})
}

func seatName(seat ledger.MemberSeat) string {
	return cmp.Or(seat.Name, "not started yet")
}

// checkAuth compares who may do what. etcd sets the revision to 1 when it opens a store without one (server/auth/store.go,
// NewAuthStore).
func (j *judge) checkAuth(want *side, m Member) {
	note := j.noteState(m)
	a, b := want.state.Auth, m.State.Auth
	if a.Enabled != b.Enabled {
		note(Changed, "has authentication %s; %s has it %s", onOff(b.Enabled), want.name, onOff(a.Enabled))
	}
	if max(a.Revision, 1) != max(b.Revision, 1) {
		note(Changed, "has auth revision %d; %s has %d", b.Revision, want.name, a.Revision)
	}
	match(a.Users, b.Users, func(a, b ledger.User) int { return cmp.Compare(a.Name, b.Name) },
		func(a, b *ledger.User) {
			switch {
			case b == nil:
				note(Missing, "does not have user %q of %s", a.Name, want.name)
			case a == nil:
				note(Stray, "has user %q, whom %s does not have", b.Name, want.name)
			case !slices.Equal(a.Roles, b.Roles):
				note(Changed, "grants user %q the roles %q; %s grants %q", a.Name, b.Roles, want.name, a.Roles)
			}
		})
	match(a.Roles, b.Roles, func(a, b ledger.Role) int { return cmp.Compare(a.Name, b.Name) },
		func(a, b *ledger.Role) {
			switch {
			case b == nil:
				note(Missing, "does not have role %q of %s", a.Name, want.name)
			case a == nil:
				note(Stray, "has role %q, which %s does not have", b.Name, want.name)
			case !slices.Equal(a.Permissions, b.Permissions):
				note(Changed, "gives role %q the permissions %v; %s gives %v", a.Name, b.Permissions, want.name, a.Permissions)
			}
		})
}

// checkAlarms demands that no alarm went silent and none is new. Those that the drill itself disarmed had been kept.
func (j *judge) checkAlarms(want *side, m Member) {
	note := j.noteState(m)
	shown := slices.Clone(m.State.Alarms)
	if want.member == "" {
		shown = append(shown, j.ev.Disarmed...)
	}
	slices.SortFunc(shown, ledger.Alarm.Compare)
	match(want.state.Alarms, slices.Compact(shown), ledger.Alarm.Compare, func(a, b *ledger.Alarm) {
		switch {
		case b == nil:
			note(Missing, "does not have alarm %s of member %s, which %s has", a.Type, a.Member, want.name)
		case a == nil:
			note(Stray, "has alarm %s of member %s, which %s does not have", b.Type, b.Member, want.name)
		}
	})
}

// checkVersions demands a schema no older than the source's, and no downgrade that the source knows nothing of. That a newer
// server raises the version, and ends a downgrade that is complete, is its business. Members are not held against each other:
// each raises its version in its own time (server/etcdserver/version/monitor.go, UpdateStorageVersionIfNeeded).
func (j *judge) checkVersions(want *side, m Member) {
	note := j.noteState(m)
	if want.member == "" && olderVersion(m.State.StorageVersion, want.state.StorageVersion) {
		note(Changed, "has storage version %s; %s has %s", m.State.StorageVersion, want.name, want.state.StorageVersion)
	}
	if to := m.State.DowngradeTo; to != "" && to != want.state.DowngradeTo {
		note(Changed, "is in the middle of a downgrade to %s; %s is not", to, want.name)
	}
}

// olderVersion compares two versions such as 3.6.0; one that is not known is not older.
func olderVersion(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	return slices.Compare(numbers(a), numbers(b)) < 0
}

func numbers(version string) []int {
	var parts []int
	for part := range strings.SplitSeq(version, ".") {
		n, _ := strconv.Atoi(part)
		parts = append(parts, n)
	}
	return parts
}

// noteState returns the function that notes a disagreement of this member.
func (j *judge) noteState(m Member) func(kind Kind, format string, args ...any) {
	return func(kind Kind, format string, args ...any) {
		j.notes.damaged(claimState, Finding{Kind: kind, Member: m.Name}, "member "+m.Name+" "+format, args...)
	}
}

// match walks two sorted lists side by side and calls each for every value that is in one of them, with nil for the other.
func match[T any](a, b []T, compare func(a, b T) int, each func(a, b *T)) {
	for len(a) > 0 || len(b) > 0 {
		var order int
		switch {
		case len(b) == 0:
			order = -1
		case len(a) == 0:
			order = 1
		default:
			order = compare(a[0], b[0])
		}
		var left, right *T
		if order <= 0 {
			left, a = &a[0], a[1:]
		}
		if order >= 0 {
			right, b = &b[0], b[1:]
		}
		each(left, right)
	}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// stateClaim says what was compared beside the keys.
func (j *judge) stateClaim() Claim {
	want := j.sideOf()
	if want == nil {
		return Claim{Name: claimState, State: LeftOut, Text: "what there is beside keys was not read"}
	}
	if want.state == nil {
		return j.notes.claim(claimState, "")
	}
	auth := want.state.Auth
	text := fmt.Sprintf("%d leases with %d keys, auth %s", j.sides.leases, j.sides.keys, onOff(auth.Enabled))
	if len(auth.Users)+len(auth.Roles) > 0 {
		text += fmt.Sprintf(" with %d users and %d roles", len(auth.Users), len(auth.Roles))
	}
	if len(want.state.Alarms) > 0 {
		text += fmt.Sprintf(", %d alarms", len(want.state.Alarms))
	}
	text += ", as in " + want.name
	if j.sides.expired > 0 {
		text += fmt.Sprintf("; %d leases were too short to be there still", j.sides.expired)
	}
	if auth.Cut {
		j.notes.sampledOnly(claimState)
		text += fmt.Sprintf("; only the first %d users and roles were compared", ledger.MaxNames)
	}
	if len(j.ev.Roster) > 0 {
		text += "; members listed as planned"
	}
	if j.notes.damage[claimState] > 0 {
		text = "not carried over as it was, or members not as planned: see the findings"
	}
	return j.notes.claim(claimState, fmt.Sprintf("%d/%d members: %s", j.sides.members, j.ev.Members, text))
}
