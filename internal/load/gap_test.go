package load

import (
	"fmt"
	"slices"
	"testing"
)

func TestReadGapTellsWhatWasNotRefused(t *testing.T) {
	ctx := testContext(t)
	client := startMember(t).dial(t)
	for i := range 5 {
		_, err := client.Put(ctx, "k", fmt.Sprint(i))
		check(t, err)
	}
	_, err := client.Compact(ctx, 5) // of 6
	check(t, err)
	for _, row := range []struct {
		ask  GapSpec
		want Gap
	}{
		{GapSpec{Ranges: []int64{1, 4}, Watch: 4}, Gap{WatchCompacted: 5}},
		{GapSpec{Ranges: []int64{4, 5, 6}, Watch: 5}, Gap{Answered: []int64{5, 6}}},
		{GapSpec{Watch: 6}, Gap{}},
	} {
		gap, err := ReadGap(ctx, client, row.ask)
		check(t, err)
		if gap.WatchCompacted != row.want.WatchCompacted || !slices.Equal(gap.Answered, row.want.Answered) {
			t.Errorf("asked %+v: got %+v, want %+v", row.ask, gap, row.want)
		}
	}
	if gap, err := ReadGap(ctx, client, GapSpec{Ranges: []int64{99}, Watch: 4}); err == nil {
		t.Errorf("a revision of the future was taken for a compacted one: %+v", gap)
	}
}
