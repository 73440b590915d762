package recovery

import (
	"errors"
	"math"
	"slices"
	"testing"
)

// soundPlan is one of a source that is not there.
func soundPlan(t *testing.T) Plan {
	t.Helper()
	source := Source{Kind: SavedSnapshot, Path: "/s", SHA256: "00ff", RestorePoint: 7, LastRecord: 7}
	plan, err := NewPlan(source, testLayout(t, 3), "fresh")
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// A plan is a value that anybody can change, and etcdutl does what it is told.
func TestRestoreRefusesABumpThatNoPlanHas(t *testing.T) {
	plan := soundPlan(t)
	for _, spoil := range []func(*Plan){
		func(p *Plan) { p.BumpRevision, p.MarkCompacted = math.MaxUint64, true },
		func(p *Plan) { p.BumpRevision = 5 },
		func(p *Plan) { p.MarkCompacted = true },
	} {
		spoiled, scratch := plan, t.TempDir()
		spoil(&spoiled)
		if _, err := Restore(testContext(t), testWorker(t, "serve"), spoiled, scratch); !errors.Is(err, ErrBadBump) {
			t.Errorf("got %v, want ErrBadBump", err)
		}
		assertEmpty(t, scratch)
	}
}

// A plan is a value that anybody can change. etcd would look for the name of a member at its own address, and resolve names
// that differ in text for up to 30 s.
func TestRestoreRefusesMembersThatAreNotThoseOfTheLayout(t *testing.T) {
	plan := soundPlan(t)
	for name, spoil := range map[string]func(p *Plan){
		"wrong name":           func(p *Plan) { p.Members[1].Name = "m9" },
		"advertised elsewhere": func(p *Plan) { p.Members[1].PeerURL = "http://localhost.invalid:2380" },
		"duplicate URL":        func(p *Plan) { p.Layout.Seats[1].PeerURL = p.Layout.Seats[0].PeerURL },
		"empty cluster":        func(p *Plan) { p.Members[1].InitialCluster = "" },
		"another cluster":      func(p *Plan) { p.Members[1].InitialCluster += ",m4=http://m4:2380" },
		"huge cluster":         func(p *Plan) { p.Layout.Seats = slices.Repeat(p.Layout.Seats, 300) },
		"a member less":        func(p *Plan) { p.Members = p.Members[1:] },
		"no members":           func(p *Plan) { p.Members, p.Layout.Seats = nil, nil },
		"a name that leaves":   func(p *Plan) { p.Members[1].Name, p.Layout.Seats[1].Name = "../m2", "../m2" },
	} {
		t.Run(name, func(t *testing.T) {
			spoiled, scratch := plan, t.TempDir()
			spoiled.Members, spoiled.Layout.Seats = slices.Clone(plan.Members), slices.Clone(plan.Layout.Seats)
			spoil(&spoiled)
			_, err := Restore(testContext(t), Worker{Path: "/nonexistent"}, spoiled, scratch)
			if !errors.Is(err, ErrBadLayout) {
				t.Errorf("got %v, want ErrBadLayout", err)
			}
			assertEmpty(t, scratch)
		})
	}
}
