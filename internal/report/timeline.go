package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// Turns are the moments between which members were in one state. A zero time is one that never came.
type Turns struct {
	Healed  time.Time // the outage was undone without a recovery
	AllDown time.Time // no member of the old cluster runs any more
	Started time.Time // the first member of the new cluster, or of the old one that goes on, was started
	Fencing time.Time // an old member was started beside the new cluster
	Fenced  time.Time // and was ended
	// Joined is when each member that was added to a cluster was ready, by its name.
	Joined map[string]time.Time
}

// again is when this member ran again, or for the first time; zero if it did not.
func (t Turns) again(name string) time.Time {
	if at, joined := t.Joined[name]; joined {
		return at
	}
	if t.Started.IsZero() {
		return t.Healed
	}
	return t.Started
}

// Moment is one line of the drill's event log.
type Moment struct {
	At   time.Time
	Name string
	Text string
}

// lane is one row of the timeline.
type lane struct {
	Name  string
	Parts []stretch
}

// stretch is one part of a lane. X and Width are in percent of the row's width.
type stretch struct {
	X, Width percent
	Class    string // of the style sheet
	Label    string
	Title    string // what a pointer that rests on it shows
}

// Fit says where there is room for the label.
func (s stretch) Fit() string { return fit(s.Label, s.Width) }

// fit is the class of a label in a stretch of this width: none where it fits on a phone, "roomy" where it takes a wider screen,
// "hidden" where it fits nowhere. A letter takes about 7 pixels, of 940 or of 300.
func fit(label string, width percent) string {
	letters := percent(len([]rune(label)))
	switch {
	case width >= 2.4*letters+3:
		return ""
	case width >= .78*letters+1:
		return "roomy"
	}
	return "hidden"
}

// percent is a share of a row's width, as an SVG length.
type percent float64

func (p percent) String() string { return fmt.Sprintf("%.3f%%", float64(p)) }

// smallest is the width at which something can still be seen.
const smallest percent = 0.25

// timeline is the whole drill along one axis of time.
type timeline struct {
	span   span
	signal time.Time
}

// newTimeline covers all phases, and the turns that lie beyond them.
func newTimeline(r Report, t Turns) timeline {
	var line timeline
	cover := func(at time.Time) {
		if at.IsZero() {
			return
		}
		if line.span.From.IsZero() || at.Before(line.span.From) {
			line.span.From = at
		}
		line.span.To = later(line.span.To, at)
	}
	for _, phase := range r.Phases {
		cover(phase.StartedAt)
		cover(phase.StartedAt.Add(phase.Duration))
	}
	if r.Outage != nil {
		line.signal = r.Outage.SignalAt
	}
	for _, at := range []time.Time{line.signal, t.Healed, t.AllDown, t.Started, t.Fenced} {
		cover(at)
	}
	return line
}

// x is where a moment lies.
func (t timeline) x(at time.Time) percent { return percent(100 * t.span.at(at)) }

// stretch lays a stretch of time on the row.
func (t timeline) stretch(from, to time.Time, class, label string) stretch {
	x := t.x(from)
	return stretch{
		X: min(x, 100-smallest), Width: max(t.x(to)-x, smallest), Class: class, Label: label,
		Title: fmt.Sprintf("%s: %s to %s, %s", label, t.offset(from), t.offset(to), fine(to.Sub(from))),
	}
}

// offset is a moment as seconds from the signal, or from the start where there was none.
func (t timeline) offset(at time.Time) string {
	return axisText(at.Sub(t.zero()).Round(time.Millisecond))
}

// zero is the moment from which times are counted.
func (t timeline) zero() time.Time {
	if t.signal.IsZero() {
		return t.span.From
	}
	return t.signal
}

// members has a lane for every member of the lost cluster and of the new one, and one for the old member that came back.
func (t timeline) members(r Report, turns Turns) []lane {
	if t.span.empty() {
		return nil
	}
	if r.Outage == nil {
		return t.restored(r, turns)
	}
	names := append(slices.Clone(r.Outage.Victims), r.Outage.Survivors...)
	for name := range r.Identity.NewMembers {
		names = append(names, name)
	}
	slices.SortFunc(names, byNumber)
	var lanes []lane
	for _, name := range slices.Compact(names) {
		lanes = append(lanes, t.member(name, r, turns))
	}
	if r.Fence != nil && !turns.Fencing.IsZero() && !turns.Fenced.IsZero() {
		lanes = append(lanes, lane{
			Name:  "old " + r.Fence.OldMember,
			Parts: []stretch{t.stretch(turns.Fencing, turns.Fenced, "hit", fenceWord(*r.Fence))},
		})
	}
	return lanes
}

// restored has a lane for every member of a cluster that was restored from somebody's own backup: there was none before.
func (t timeline) restored(r Report, turns Turns) []lane {
	var lanes []lane
	for _, name := range slices.SortedFunc(maps.Keys(r.Identity.NewMembers), byNumber) {
		if !turns.Started.IsZero() {
			lanes = append(lanes, lane{Name: name, Parts: []stretch{t.stretch(turns.Started, t.span.To, "new", "runs")}})
		}
	}
	return lanes
}

// byNumber sorts m2 before m10.
func byNumber(a, b string) int {
	if byLength := cmp.Compare(len(a), len(b)); byLength != 0 {
		return byLength
	}
	return cmp.Compare(a, b)
}

// fenceWord says what became of an old member that came back.
func fenceWord(f verify.Fence) string {
	switch {
	case f.OldLed || f.OldServed:
		return "let in"
	case f.SizeOne:
		return "alone, not fenced"
	case f.Removed:
		return "told that it is removed"
	}
	return "back, and refused"
}

// member draws what one member did: it ran, was hit or stopped, and runs again.
func (t timeline) member(name string, r Report, turns Turns) lane {
	victim := slices.Contains(r.Outage.Victims, name)
	_, back := r.Identity.NewMembers[name]
	var parts []stretch
	again, untouched := turns.again(name), !victim && turns.AllDown.IsZero()
	begin := t.span.From
	if start, ok := r.phase(PhaseStart); ok {
		begin = start.StartedAt.Add(start.Duration)
		parts = append(parts, t.stretch(start.StartedAt, begin, "starting", "starts"))
	}
	switch {
	case !victim && !slices.Contains(r.Outage.Survivors, name):
		parts = nil // it was not there before
	case untouched:
		return lane{Name: name, Parts: append(parts, t.stretch(begin, t.span.To, "old", "runs"))}
	case victim:
		parts = append(parts, t.stretch(begin, t.signal, "old", "runs"),
			t.stretch(t.signal, t.or(again, back), "hit", pastTense(r.Outage.Fault)))
	default:
		parts = append(parts, t.stretch(begin, turns.AllDown, "old", "runs"),
			t.stretch(turns.AllDown, t.or(again, back), "stopped", "stopped"))
	}
	if back && !again.IsZero() {
		parts = append(parts, t.stretch(again, t.span.To, "new", backWord(name, r)))
	}
	return lane{Name: name, Parts: parts}
}

// or is the moment from which the member is back, or the end of the drill.
func (t timeline) or(again time.Time, back bool) time.Time {
	if again.IsZero() || !back {
		return t.span.To
	}
	return again
}

// backWord says as what a member runs after the disaster.
func backWord(name string, r Report) string {
	switch {
	case r.Identity.NewCluster != r.Identity.OldCluster:
		return "runs in the new cluster"
	case r.Identity.NewMembers[name] != r.Identity.OldMembers[name]:
		return "replaced, runs"
	}
	return "runs again"
}

// touching is by how much two phases may overlap and still follow one another: the clock that measures how long something takes is
// not the one that tells the time.
const touching = time.Millisecond

// phases lays the phases on as few rows as they need.
func (t timeline) phases(r Report) [][]stretch {
	var rows [][]stretch
	var ends []time.Time
	for _, phase := range r.Phases {
		end := phase.StartedAt.Add(phase.Duration)
		row := slices.IndexFunc(ends, func(at time.Time) bool { return at.Sub(phase.StartedAt) < touching })
		if row < 0 {
			row = len(rows)
			rows, ends = append(rows, nil), append(ends, time.Time{})
		}
		rows[row] = append(rows[row], t.stretch(phase.StartedAt, end, "phase", phase.Name))
		ends[row] = end
	}
	return rows
}

// clients merges the states of the strip into stretches.
func (t timeline) clients(c *course) []stretch {
	if c == nil {
		return nil
	}
	var parts []stretch
	states := c.states()
	each := t.span.length() / buckets
	for from := 0; from < buckets; {
		to := from + 1
		for to < buckets && states[to] == states[from] {
			to++
		}
		if states[from] != clientsSilent {
			part := t.stretch(t.span.From.Add(each*time.Duration(from)), t.span.From.Add(each*time.Duration(to)),
				states[from], clientsText(states[from]))
			part.Label = ""
			parts = append(parts, part)
		}
		from = to
	}
	return parts
}

func clientsText(state string) string {
	return map[string]string{
		clientsServed: "acknowledged", clientsPartly: "some acknowledged, some refused or without an answer",
		clientsRefused: "refused", clientsUnserved: "no answer: outcome unknown",
	}[state]
}

// tick is a mark on an axis.
type tick struct {
	X      percent
	Anchor string // of its text
	Text   string
}

// ticks are the marks of the time axis: round distances from the signal.
func (t timeline) ticks() []tick {
	if t.span.empty() {
		return nil
	}
	zero := t.zero()
	every := roundStep(t.span.length())
	var out []tick
	for at := zero.Add(-(zero.Sub(t.span.From) / every) * every); !at.After(t.span.To); at = at.Add(every) {
		out = append(out, tick{X: t.x(at), Anchor: "middle", Text: axisText(at.Sub(zero))})
	}
	return anchored(out)
}

// anchored keeps the text of ticks near the ends inside the row.
func anchored(ticks []tick) []tick {
	for i, mark := range ticks {
		switch {
		case mark.X < 6:
			ticks[i].Anchor = "start"
		case mark.X > 94:
			ticks[i].Anchor = "end"
		}
	}
	return ticks
}

// axisText is a distance from the signal.
func axisText(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d < 0:
		return "−" + (-d).String()
	}
	return "+" + d.String()
}

// roundStep is the smallest round time that divides a length into at most seven parts.
func roundStep(length time.Duration) time.Duration {
	for unit := time.Millisecond; unit < 10*time.Second; unit *= 10 {
		for _, factor := range []time.Duration{1, 2, 5} {
			if step := unit * factor; length/step <= 7 {
				return step
			}
		}
	}
	for unit := 10 * time.Second; ; unit *= 60 {
		for _, factor := range []time.Duration{1, 2, 3, 6, 12, 30} {
			if step := unit * factor; length/step <= 7 {
				return step
			}
		}
	}
}
