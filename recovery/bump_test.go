package recovery

import (
	"errors"
	"math"
	"testing"
)

func TestABumpIsBounded(t *testing.T) {
	plain := goodSource(SavedSnapshot, "/s") // restore point 7
	high := Source{Kind: DBCopy, Path: "/d", SHA256: "00ff", RestorePoint: MaxRevision, LastRecord: MaxRevision}
	compacted := Source{Kind: DBCopy, Path: "/d", SHA256: "00ff", RestorePoint: 12, LastRecord: 7, Compacted: 12}
	cases := []struct {
		name  string
		src   Source
		opts  []PlanOption
		start int64 // the revision that is predicted; 0 for ErrBadBump
	}{
		{"none", plain, nil, 7},
		{"0", plain, []PlanOption{WithBump(0)}, 0},
		{"0, marked", plain, []PlanOption{WithBump(0), WithMarkCompacted()}, 0},
		{"1, not marked", plain, []PlanOption{WithBump(1)}, 0},
		{"marked alone", plain, []PlanOption{WithMarkCompacted()}, 0},
		{"1", plain, []PlanOption{WithBump(1), WithMarkCompacted()}, 8},
		{"1e9", plain, []PlanOption{WithBump(1e9), WithMarkCompacted()}, 1_000_000_007},
		{"to the bound", plain, []PlanOption{WithBump(uint64(MaxRevision - 7)), WithMarkCompacted()}, MaxRevision},
		{"one beyond the bound", plain, []PlanOption{WithBump(uint64(MaxRevision - 6)), WithMarkCompacted()}, 0},
		{"over the end of an int64", plain, []PlanOption{WithBump(math.MaxInt64 - 3), WithMarkCompacted()}, 0},
		{"to the end of an int64", plain, []PlanOption{WithBump(math.MaxInt64 - 7), WithMarkCompacted()}, 0},
		{"2^64-1", plain, []PlanOption{WithBump(math.MaxUint64), WithMarkCompacted()}, 0},
		{"from the bound", high, []PlanOption{WithBump(1), WithMarkCompacted()}, 0},
		{"up to what is compacted already", compacted, []PlanOption{WithBump(5), WithMarkCompacted()}, 0},
		{"beyond what is compacted already", compacted, []PlanOption{WithBump(6), WithMarkCompacted()}, 13},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			plan, err := NewPlan(c.src, oldLayout(), "fresh", c.opts...)
			if c.start == 0 {
				if !errors.Is(err, ErrBadBump) {
					t.Fatalf("got %v, want ErrBadBump", err)
				}
				t.Log(err)
				return
			}
			if err != nil || plan.Revision() != c.start {
				t.Errorf("got revision %d, %v; want %d", plan.Revision(), err, c.start)
			}
			if len(c.opts) > 0 && plan.Compacted() != c.start {
				t.Errorf("compacted at %d, want %d", plan.Compacted(), c.start)
			}
		})
	}
}

// What no source can make possible is refused before there is one.
func TestABumpIsCheckedWithoutASource(t *testing.T) {
	for _, ask := range []struct {
		revisions uint64
		mark      bool
		possible  bool
	}{
		{0, false, true}, {1, true, true}, {1e9, true, true}, {uint64(MaxRevision), true, true},
		{0, true, false}, {1, false, false}, {uint64(MaxRevision) + 1, true, false}, {math.MaxInt64, true, false}, {math.MaxUint64, true, false},
	} {
		if err := CheckBump(ask.revisions, ask.mark); (err == nil) != ask.possible || err != nil && !errors.Is(err, ErrBadBump) {
			t.Errorf("%+v: got %v", ask, err)
		}
	}
}
