package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

//go:embed page.html
var pageTemplate string

//go:embed page.css
var pageStyle string

// Page is what the HTML form shows: a report, and of the evidence beside it what a picture needs.
type Page struct {
	Report Report
	// Ledger yields the entries of the load; nil if there is none. It is read once.
	Ledger ledger.Stream[ledger.Entry]
	Turns  Turns
	// Moments is the event log, in order.
	Moments []Moment
}

// shownOnPage bounds the findings, and shownMoments the lines of the log, that a page lists.
const (
	shownOnPage  = 50
	shownMoments = 300
)

// WriteHTML writes the page as one HTML document: it needs no script, no network and no other file. Its size does not grow with
// the number of writes. Keys and texts from outside are shown as text and can be nothing else. A ledger that cannot be read to its end
// is shown as far as it goes; the page says so.
func WriteHTML(w io.Writer, p Page) error {
	page, err := template.New("page").Parse(pageTemplate)
	if err != nil {
		return fmt.Errorf("write report as HTML: %w", err)
	}
	var document strings.Builder
	if err := page.Execute(&document, newView(p)); err != nil {
		return fmt.Errorf("write report as HTML: %w", err)
	}
	if _, err := io.WriteString(w, clean(document.String())); err != nil {
		return fmt.Errorf("write report as HTML: %w", err)
	}
	return nil
}

// clean replaces what the template has nowhere and a text from outside may have: control characters, what changes the direction of
// text, bytes that are no text. The template has escaped everything else that is not text.
func clean(document string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return printableRune(r)
	}, document)
}

// view is what the template shows. Texts in it are plain; the template escapes them.
type view struct {
	Style   template.CSS
	Title   string
	Verdict string
	Class   string // of the result
	Made    string
	Answers []answer
	Backup  *backupView
	Time    *timeView
	RTO     []rtoRow
	Total   string // of the recovery; empty if it is not complete
	Gap     string // what of it belongs to no part
	Axes    []axis
	Loss    lossView
	Proof   []claimRow
	Counts  []fact
	Hazards []string
	Against []findingRow
	More    int // findings that are not listed
	Plan    *planView
	Rests   []rest
	Facts   []fact
	Moments []momentRow
	Cut     int // moments that are not listed
}

type timeView struct {
	Lanes    []lane
	Clients  []stretch
	Rate     string
	Highest  string
	Phases   [][]stretch
	Ticks    []tick
	Signal   percent
	Struck   bool
	Restored []stretch // from the signal to the first write
	Notes    []string
}

type lossView struct {
	Rows        []lostRow
	More        int64
	Resurrected []string
	MoreKeys    int64
	Bump        string
}

type claimRow struct{ Name, State, Class, Text string }
type findingRow struct{ Kind, Member, Key, Revision, Text string }
type fact struct{ Name, Text string }
type rest struct{ Kind, Text string }
type momentRow struct{ At, Offset, Name, Text string }

type planView struct {
	Route, Loses string
	Warnings     []string
	Commands     [][]string // by words, so that no flag is broken in two
}

func newView(p Page) view {
	r := p.Report
	line := newTimeline(r, p.Turns)
	load := line.span
	if phase, ok := r.phase(PhaseLoad); ok {
		load = span{phase.StartedAt, phase.StartedAt.Add(phase.Duration)}
	}
	c := readCourse(r, line.span, load, p.Ledger)
	v := view{
		Style: template.CSS(pageStyle), Title: oneLine(r.Title), Verdict: strings.ToUpper(string(r.outcome())),
		Class: map[Result]string{Passed: good, Failed: bad, Unproved: unsure}[r.Result()],
		Made:  made(r, line), Answers: r.answers(), Backup: newBackupView(r.Backup), Axes: revisionAxes(r), Loss: newLossView(r, c),
		Proof: claimRows(r.Verdict.Claims), Counts: counts(r.Verdict), Plan: newPlanView(r.Plan), Rests: rests(r), Facts: facts(r),
	}
	if missed := r.missed(); len(missed) > 0 {
		v.Verdict += ", but target missed: " + strings.Join(missed, ", ")
	}
	v.RTO, v.Gap = rtoRows(r.RTO)
	if r.RTO.Complete {
		v.Total = millis(r.RTO.Total)
	}
	for _, hazard := range r.Verdict.Hazards {
		v.Hazards = append(v.Hazards, oneLine(hazard.Text))
	}
	if !line.span.empty() {
		v.Time = newTimeView(p, line, c, load)
	}
	v.Against, v.More = findingRows(r.Verdict)
	v.Moments, v.Cut = momentRows(p.Moments, line)
	return v
}

// made says what made the report, and when the drill was.
func made(r Report, line timeline) string {
	text := fmt.Sprintf("etcd-drill %s, run %s", r.ToolVersion, r.RunID)
	if r.Of > 1 {
		text += fmt.Sprintf(", drill %d of %d", r.Number, r.Of)
	}
	if !line.span.From.IsZero() {
		text += ", " + stamp(line.span.From)
	}
	return oneLine(text)
}

func newTimeView(p Page, line timeline, c *course, load span) *timeView {
	r := p.Report
	v := &timeView{
		Lanes: line.members(r, p.Turns), Clients: line.clients(c), Phases: line.phases(r), Ticks: line.ticks(),
		Signal: line.x(line.signal), Struck: !line.signal.IsZero(),
	}
	if len(r.RTO.Parts) > 0 && r.RTO.Complete {
		v.Restored = []stretch{line.stretch(r.RTO.SignalAt, r.RTO.SignalAt.Add(r.RTO.Total), "rto", "recovery")}
	}
	if r.Backup != nil {
		return v // there was no load
	}
	if c == nil {
		v.Notes = append(v.Notes, "No ledger: what clients met is not known.")
		return v
	}
	path, perSecond := c.rate()
	v.Rate, v.Highest = path, fmt.Sprintf("%.0f/s", perSecond)
	v.Notes = append(v.Notes, fmt.Sprintf("The load made %s in %s; each column covers %s.",
		count(int64(c.entries), "call"), fine(load.length()), fine(line.span.length()/buckets)))
	if !c.longest.empty() {
		v.Notes = append(v.Notes, fmt.Sprintf("Longest time without an acknowledged write while the load ran: %s, from %s to %s.",
			fine(c.longest.length()), line.offset(c.longest.From), line.offset(c.longest.To)))
	}
	if c.note != "" {
		v.Notes = append(v.Notes, strings.ToUpper(c.note[:1])+c.note[1:]+".")
	}
	return v
}

func newLossView(r Report, c *course) lossView {
	v := lossView{Rows: lostRows(r, c), Bump: r.bumpText()}
	loss := r.Verdict.Loss
	v.More = max(loss.Writes-int64(len(v.Rows)), 0)
	for _, key := range loss.ResurrectedKeys {
		v.Resurrected = append(v.Resurrected, showKey(key))
	}
	v.MoreKeys = max(loss.Resurrected-int64(len(v.Resurrected)), 0)
	return v
}

func claimRows(claims []verify.Claim) []claimRow {
	var rows []claimRow
	for _, c := range claims {
		class := unsure
		switch c.State {
		case verify.Proved:
			class = good
		case verify.Disproved:
			class = bad
		}
		rows = append(rows, claimRow{Name: c.Name, State: c.State, Class: class, Text: oneLine(c.Text)})
	}
	return rows
}

func counts(v verify.Verdict) []fact {
	all := []fact{
		{"acknowledged writes", strconv.FormatInt(v.Tally.Acknowledged, 10)},
		{"unknown outcomes", fmt.Sprintf("%d, %d of them kept", v.Tally.Unknown, v.Tally.UnknownSeen)},
		{"refused writes", strconv.FormatInt(v.Tally.Refused, 10)},
		{"revisions explained", strconv.FormatInt(v.Compared.Revisions, 10)},
		{"keys compared", strconv.FormatInt(v.Compared.Keys, 10)},
		{"leases compared", strconv.FormatInt(v.Compared.Leases, 10)},
		{"members compared", strconv.Itoa(v.Compared.Members)},
	}
	if v.Witness == verify.BySource { // there was no load
		all = all[3:]
	}
	return all
}

func findingRows(v verify.Verdict) (rows []findingRow, more int) {
	for _, f := range v.Findings[:min(len(v.Findings), shownOnPage)] {
		row := findingRow{Kind: string(f.Kind), Member: f.Member, Text: oneLine(f.Text)}
		if f.Key != "" {
			row.Key = showKey(f.Key)
		}
		if f.Revision != 0 {
			row.Revision = strconv.FormatInt(f.Revision, 10)
		}
		rows = append(rows, row)
	}
	return rows, max(v.FindingCount-len(rows), 0)
}

func newPlanView(p *Plan) *planView {
	if p == nil {
		return nil
	}
	v := &planView{Route: oneLine(p.Route), Loses: oneLine(p.Loses)}
	for _, command := range p.Commands {
		v.Commands = append(v.Commands, strings.Split(printable(command), " "))
	}
	for _, warning := range p.Warnings {
		v.Warnings = append(v.Warnings, oneLine(warning))
	}
	return v
}

// rests are what the verdict rests on without proof, and what it does not speak of.
func rests(r Report) []rest {
	var out []rest
	for _, text := range r.Assumed {
		out = append(out, rest{"assumed", oneLine(text)})
	}
	for _, c := range r.Verdict.Claims {
		if c.State != verify.Proved && c.State != verify.Disproved {
			out = append(out, rest{c.State, oneLine(c.Name + ": " + c.Text)})
		}
	}
	for _, skip := range r.Skipped {
		out = append(out, rest{"skipped", oneLine(skip.Ability + ": " + skip.Reason)})
	}
	return out
}

// facts are what was drilled, and on what.
func facts(r Report) []fact {
	var out []fact
	add := func(name, text string) {
		if text = oneLine(text); text != "" {
			out = append(out, fact{name, text})
		}
	}
	s := r.Spec
	if r.Backup != nil {
		add("asked for", fmt.Sprintf("%s, route %s", count(int64(s.Members), "member"), s.Route))
	} else {
		add("asked for", fmt.Sprintf("%s, lose %s by %s, source %s, backup %s, route %s", count(int64(s.Members), "member"), s.Lose, s.Fault,
			s.Source, s.Backup, s.Route))
		add("load", fmt.Sprintf("%d keys of %d bytes by %d writers", s.Keys, s.ValueSizeBytes, s.Workers))
	}
	add("seed", strconv.FormatUint(r.Seed, 10))
	add("runtime", cmp.Or(r.Runtime.Engine, r.Runtime.Name))
	if r.Runtime.EtcdVersion != "" { // otherwise the drill ended before one was chosen
		add("etcd", r.Runtime.EtcdVersion+", "+r.Runtime.EtcdOrigin)
	}
	if r.Runtime.RestoreVersion != r.Runtime.EtcdVersion && r.Runtime.RestoreVersion != "" {
		add("restored on", r.Runtime.RestoreVersion+", "+r.Runtime.RestoreOrigin)
	}
	if r.Identity.OldCluster != 0 {
		add("old cluster", r.Identity.OldCluster.String())
	}
	if r.Identity.NewCluster != 0 {
		add("new cluster", r.Identity.NewCluster.String())
	}
	for _, name := range slices.SortedFunc(maps.Keys(r.Identity.NewMembers), byNumber) {
		add("member "+name, r.Identity.NewMembers[name].String())
	}
	if r.Plan != nil && r.Plan.SourceSHA256 != "" {
		add("source", "SHA-256 "+r.Plan.SourceSHA256)
		add("hash of the snapshot", map[bool]string{true: "checked", false: "not checked: the source carries none"}[r.Plan.HashChecked])
		add("token", string(r.Plan.Token))
		add("etcdutl", r.Plan.Etcdutl)
	}
	add("evidence", r.Folder)
	return out
}

func momentRows(moments []Moment, line timeline) (rows []momentRow, cut int) {
	for _, m := range moments[:min(len(moments), shownMoments)] {
		row := momentRow{At: m.At.UTC().Format("15:04:05.000"), Name: m.Name, Text: oneLine(m.Text)}
		if !line.span.From.IsZero() {
			row.Offset = axisText(m.At.Sub(line.zero()).Round(time.Millisecond))
		}
		rows = append(rows, row)
	}
	return rows, len(moments) - len(rows)
}
