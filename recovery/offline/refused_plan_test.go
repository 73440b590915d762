package offline

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// soundPlan is one of a source that is not there.
func soundPlan(t *testing.T) recovery.Plan {
	t.Helper()
	source := recovery.Source{Kind: recovery.SavedSnapshot, Path: "/s", SHA256: "00ff", RestorePoint: 7, LastRecord: 7}
	plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 3), "fresh")
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// A plan is a value that anybody can change, and etcdutl does what it is told.
func TestRestoreRefusesABumpThatNoPlanHas(t *testing.T) {
	plan := soundPlan(t)
	for _, spoil := range []func(*recovery.Plan){
		func(p *recovery.Plan) { p.BumpRevision, p.MarkCompacted = math.MaxUint64, true },
		func(p *recovery.Plan) { p.BumpRevision = 5 },
		func(p *recovery.Plan) { p.MarkCompacted = true },
	} {
		spoiled, scratch := plan, t.TempDir()
		spoil(&spoiled)
		if _, err := Restore(recoverytest.Context(t), testWorker(t, "serve"), spoiled, scratch); !errors.Is(err, recovery.ErrBadBump) {
			t.Errorf("got %v, want ErrBadBump", err)
		}
		recoverytest.AssertEmpty(t, scratch)
	}
}

// A plan is a value that anybody can change. etcd would look for the name of a member at its own address, and resolve names
// that differ in text for up to 30 s.
func TestRestoreRefusesMembersThatAreNotThoseOfTheLayout(t *testing.T) {
	plan := soundPlan(t)
	for name, spoil := range map[string]func(p *recovery.Plan){
		"wrong name":           func(p *recovery.Plan) { p.Members[1].Name = "m9" },
		"advertised elsewhere": func(p *recovery.Plan) { p.Members[1].PeerURL = "http://localhost.invalid:2380" },
		"duplicate URL":        func(p *recovery.Plan) { p.Layout.Seats[1].PeerURL = p.Layout.Seats[0].PeerURL },
		"empty cluster":        func(p *recovery.Plan) { p.Members[1].InitialCluster = "" },
		"another cluster":      func(p *recovery.Plan) { p.Members[1].InitialCluster += ",m4=http://m4:2380" },
		"huge cluster":         func(p *recovery.Plan) { p.Layout.Seats = slices.Repeat(p.Layout.Seats, 300) },
		"a member less":        func(p *recovery.Plan) { p.Members = p.Members[1:] },
		"no members":           func(p *recovery.Plan) { p.Members, p.Layout.Seats = nil, nil },
		"a name that leaves":   func(p *recovery.Plan) { p.Members[1].Name, p.Layout.Seats[1].Name = "../m2", "../m2" },
	} {
		t.Run(name, func(t *testing.T) {
			spoiled, scratch := plan, t.TempDir()
			spoiled.Members, spoiled.Layout.Seats = slices.Clone(plan.Members), slices.Clone(plan.Layout.Seats)
			spoil(&spoiled)
			_, err := Restore(recoverytest.Context(t), Worker{Path: "/nonexistent"}, spoiled, scratch)
			if !errors.Is(err, recovery.ErrBadLayout) {
				t.Errorf("got %v, want ErrBadLayout", err)
			}
			recoverytest.AssertEmpty(t, scratch)
		})
	}
}
