package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// The span of these tests is 160 s, so that a bucket is a second.
func begin() time.Time           { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }
func second(n float64) time.Time { return begin().Add(time.Duration(n * float64(time.Second))) }
func whole() span                { return span{begin(), second(buckets)} }

// call is a write from one second to another.
func call(from, to float64, outcome ledger.Outcome, revision int64) ledger.Entry {
	return ledger.Entry{Call: second(from), Return: second(to), Outcome: outcome, Revision: revision, Owns: revision > 0}
}

func courseOf(r Report, load span, entries ...ledger.Entry) *course {
	return readCourse(r, whole(), load, func(yield func(ledger.Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	})
}

func TestTheStripSaysWhatClientsMet(t *testing.T) {
	states := courseOf(Report{}, whole(),
		call(0.1, 0.2, ledger.Acknowledged, 2),
		call(1.1, 1.2, ledger.Acknowledged, 3), call(1.3, 1.4, ledger.Refused, 0),
		call(2.1, 2.2, ledger.Refused, 0),
		call(3.1, 6.5, ledger.Unknown, 0), call(4.5, 4.6, ledger.Acknowledged, 4),
		call(159.9, 200, ledger.Unknown, 0), // it returned when the drill was over
	).states()
	want := map[int]string{
		0: clientsServed, 1: clientsPartly, 2: clientsRefused, 3: clientsUnserved, 4: clientsPartly, 5: clientsUnserved, 6: clientsUnserved,
		7: clientsSilent, 158: clientsSilent, 159: clientsUnserved,
	}
	for at, state := range want {
		if states[at] != state {
			t.Errorf("second %d: %s, want %s", at, states[at], state)
		}
	}
	parts := timeline{span: whole()}.clients(courseOf(Report{}, whole(), call(1, 3.5, ledger.Unknown, 0), call(3.6, 4.5, ledger.Unknown, 0)))
	if len(parts) != 1 || parts[0].X != percent(100)/buckets || parts[0].Width != percent(400)/buckets {
		t.Errorf("equal neighbours are not one part: %+v", parts)
	}
}

func TestTheLongestSilenceIsThatOfTheLoad(t *testing.T) {
	load := span{second(10), second(60)}
	for name, c := range map[string]struct {
		entries  []ledger.Entry
		from, to float64
	}{
		"none answered":    {nil, 10, 60},
		"before the first": {[]ledger.Entry{call(40, 41, ledger.Acknowledged, 2)}, 10, 41},
		"between": {[]ledger.Entry{
			call(10, 11, ledger.Acknowledged, 2), call(12, 40, ledger.Unknown, 0), call(41, 50, ledger.Acknowledged, 3),
		}, 11, 50},
		"after the last": {[]ledger.Entry{call(10, 20, ledger.Acknowledged, 2)}, 20, 60},
		"out of order":   {[]ledger.Entry{call(10, 50, ledger.Acknowledged, 3), call(10, 11, ledger.Acknowledged, 2)}, 10, 50},
	} {
		if got := courseOf(Report{}, load, c.entries...).longest; got != (span{second(c.from), second(c.to)}) {
			t.Errorf("%s: %s to %s", name, got.From, got.To)
		}
	}
}

func TestTheLostWritesThatAreListedAreThoseOfTheLowestRevisions(t *testing.T) {
	r := Report{Verdict: verify.Verdict{RestorePoint: 100, Loss: verify.Loss{Writes: 900, Revisions: 900}}}
	var entries []ledger.Entry
	for revision := int64(1000); revision > 90; revision-- {
		entries = append(entries, call(1, 2, ledger.Acknowledged, revision))
	}
	entries = append(entries, call(1, 2, ledger.Unknown, 0))
	borrowed := call(1, 2, ledger.Acknowledged, 101)
	borrowed.Owns, borrowed.Worker = false, 77 // a delete of nothing carries somebody else's revision
	lost := courseOf(r, whole(), append(entries, borrowed)...).lost
	if len(lost) != shownLost {
		t.Fatalf("%d listed", len(lost))
	}
	for i, e := range lost {
		if e.Revision != int64(101+i) || e.Worker == 77 {
			t.Errorf("place %d holds revision %d of worker %d", i, e.Revision, e.Worker)
		}
	}
}

func TestWhatIsShownOfTheRecoveryAddsUp(t *testing.T) {
	at := begin()
	var made []Step
	for i, name := range []string{PartDetect, PartFetch, PartCheck, PartFirstWrite, PartAgree} {
		from := at.Add(time.Duration(i) * 4_700_300 * time.Nanosecond) // every boundary is rounded
		made = append(made, Step{Name: name, From: from, To: from.Add(1_650_000 * time.Nanosecond)})
	}
	rows, gap := rtoRows(NewRTO(at, made))
	sum := shownTime(t, gap)
	for _, row := range rows {
		if row.Name != PartAgree {
			sum += shownTime(t, row.Duration)
		}
		if row.After != (row.Name == PartAgree) {
			t.Errorf("%s after the first write: %t", row.Name, row.After)
		}
	}
	if want := shownTime(t, millis(NewRTO(at, made).Total)); sum != want {
		t.Errorf("the parts show %s, the whole %s", sum, want)
	}
}

func TestPartsWithoutAGapShowNone(t *testing.T) {
	var made []Step
	for i, name := range []string{PartDetect, PartFetch, PartCheck, PartFirstWrite} {
		from := begin().Add(time.Duration(i) * 1_400_000 * time.Nanosecond) // each alone is shown shorter than it is
		made = append(made, Step{Name: name, From: from, To: from.Add(1_400_000 * time.Nanosecond)})
	}
	if _, gap := rtoRows(NewRTO(begin(), made)); gap != "" {
		t.Errorf("%s between parts that follow at once", gap)
	}
}

func shownTime(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// drillOf is a drill of 3 members whose quorum was hit at second 50.
func drillOf() (Report, Turns) {
	ids := map[string]identity.MemberID{"m1": 1, "m2": 2, "m3": 3}
	return Report{
		Spec:   Spec{Members: 3},
		Outage: &verify.Outage{Fault: "kill", Victims: []string{"m1", "m3"}, Survivors: []string{"m2"}, SignalAt: second(50)},
		Phases: []Phase{
			{Name: PhaseStart, StartedAt: begin(), Duration: 10 * time.Second},
			{Name: PhaseProof, StartedAt: second(100), Duration: 60 * time.Second},
		},
		Identity: Identity{OldCluster: 1, NewCluster: 2, OldMembers: ids, NewMembers: map[string]identity.MemberID{"m1": 4, "m2": 5, "m10": 6}},
	}, Turns{AllDown: second(60), Started: second(80)}
}

func TestLanesSayWhatEachMemberDid(t *testing.T) {
	fresh, turns := drillOf()
	kept, keptTurns := drillOf()
	kept.Identity.NewCluster, keptTurns.AllDown = 1, time.Time{}
	kept.Identity.NewMembers = map[string]identity.MemberID{"m1": 9, "m2": 2, "m3": 3}
	healed, healedTurns := kept, Turns{Healed: second(70)}
	joining, joiningTurns := fresh, turns
	joiningTurns.Joined = map[string]time.Time{"m10": second(120), "m2": second(100)}
	ended, endedTurns := fresh, Turns{AllDown: second(60)}
	ended.Identity.NewMembers = nil
	for name, c := range map[string]struct {
		report Report
		turns  Turns
		want   []string
	}{
		"restored": {fresh, turns, []string{
			"m1: starting 0-10, old 10-50, hit 50-80, new 80-160", "m2: starting 0-10, old 10-60, stopped 60-80, new 80-160",
			"m3: starting 0-10, old 10-50, hit 50-160", "m10: new 80-160",
		}},
		"one after the other": {joining, joiningTurns, []string{
			"m1: starting 0-10, old 10-50, hit 50-80, new 80-160", "m2: starting 0-10, old 10-60, stopped 60-100, new 100-160",
			"m3: starting 0-10, old 10-50, hit 50-160", "m10: new 120-160",
		}},
		"quorum kept": {kept, keptTurns, []string{
			"m1: starting 0-10, old 10-50, hit 50-80, new 80-160", "m2: starting 0-10, old 10-160",
			"m3: starting 0-10, old 10-50, hit 50-80, new 80-160",
		}},
		"healed": {healed, healedTurns, []string{
			"m1: starting 0-10, old 10-50, hit 50-70, new 70-160", "m2: starting 0-10, old 10-160",
			"m3: starting 0-10, old 10-50, hit 50-70, new 70-160",
		}},
		"never came back": {ended, endedTurns, []string{
			"m1: starting 0-10, old 10-50, hit 50-160", "m2: starting 0-10, old 10-60, stopped 60-160", "m3: starting 0-10, old 10-50, hit 50-160",
		}},
	} {
		var got []string
		for _, lane := range newTimeline(c.report, c.turns).members(c.report, c.turns) {
			got = append(got, laneText(lane))
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
	if got := backWord("m1", kept); got != "replaced, runs" {
		t.Errorf("a replaced member %s", got)
	}
	if got := backWord("m3", kept); got != "runs again" {
		t.Errorf("a restarted member %s", got)
	}
}

func laneText(l lane) string {
	var parts []string
	for _, part := range l.Parts {
		parts = append(parts, fmt.Sprintf("%s %.0f-%.0f", part.Class, part.X*1.6, (part.X+part.Width)*1.6))
	}
	return l.Name + ": " + strings.Join(parts, ", ")
}

func TestTicksAreRoundAndFew(t *testing.T) {
	for length, want := range map[time.Duration]string{
		14 * time.Second: "−4s −2s 0 +2s", 40 * time.Millisecond: "−10ms 0 +10ms", 90 * time.Second: "−20s 0 +20s",
		7 * time.Minute: "−2m0s −1m0s 0 +1m0s", 26 * time.Hour: "−5h0m0s 0 +5h0m0s",
	} {
		line := timeline{span: span{begin(), begin().Add(length)}, signal: begin().Add(length / 3)}
		ticks := line.ticks()
		var texts []string
		for _, mark := range ticks {
			texts = append(texts, mark.Text)
		}
		if text := strings.Join(texts, " "); !strings.Contains(text, want) || len(ticks) > 8 {
			t.Errorf("%s: %q, want %q in it", length, text, want)
		}
	}
}

func TestPhasesThatTouchShareARow(t *testing.T) {
	phase := func(name string, from, to time.Duration) Phase {
		return Phase{Name: name, StartedAt: begin().Add(from), Duration: to - from}
	}
	r := Report{Phases: []Phase{
		phase(PhaseStart, 0, 10*time.Second), phase(PhaseLoad, 10*time.Second-200*time.Nanosecond, 60*time.Second), // by two clocks
		phase(PhaseDisaster, 50*time.Second, 70*time.Second), phase(PhaseRecover, 70*time.Second, 160*time.Second),
	}}
	var got []string
	for _, row := range newTimeline(r, Turns{}).phases(r) {
		var names []string
		for _, part := range row {
			names = append(names, part.Label)
		}
		got = append(got, strings.Join(names, " "))
	}
	if want := "start load recover, disaster"; strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
}

func TestAClusterWithoutASourceIsNotSaidToHoldOne(t *testing.T) {
	r, turns := drillOf()
	r.Plan = &Plan{Route: "restart"}
	r.Verdict = verify.Verdict{
		Outcome: verify.Intact, RestorePoint: 100, Compared: verify.Compared{Members: 3, Revisions: 99, Keys: 9},
		Loss: verify.Loss{Writes: 1, Revisions: 50, Window: time.Second},
	}
	page := func() string {
		var out strings.Builder
		if err := WriteHTML(&out, Page{Report: r, Turns: turns}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := page(); strings.Contains(got, "the source") || !strings.Contains(got, "3 members of 3 hold the same") {
		t.Errorf("there was no source:\n%s", got)
	}
	r.Plan.SourceSHA256, r.Spec.RestoreMembers = "c0ffee", 5
	if got := page(); !strings.Contains(got, "3 members of 5 hold what the source promised") || !strings.Contains(got, "in the source") {
		t.Errorf("there was a source:\n%s", got)
	}
}
