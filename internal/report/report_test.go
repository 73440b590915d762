package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (renew with -update)\n--- want\n%s--- got\n%s", name, want, got)
	}
}

// render calls a writer of the package and returns what it wrote.
func render(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func text(t *testing.T, r report.Report, s report.Style) string {
	return render(t, func(w io.Writer) error { return report.WriteText(w, r, s) })
}

func TestARunReadsLikeTheDesignsSample(t *testing.T) {
	drills := []report.Report{intactDrill(), lossyDrill()}
	summary := report.NewSummary(drills, 28*time.Second, report.Left{})
	golden(t, "run.txt", render(t, func(w io.Writer) error {
		err := report.WriteHeader(w, drills[0])
		for _, drill := range drills {
			err = errors.Join(err, report.WriteText(w, drill, report.Style{}))
		}
		return errors.Join(err, report.WriteSummary(w, summary))
	}))
	golden(t, "run.json", render(t, func(w io.Writer) error { return report.WriteSummaryJSON(w, summary) }))
}

func TestEveryOutcomeHasItsText(t *testing.T) {
	for name, drill := range map[string]report.Report{
		"damaged.txt": damagedDrill(), "failed.txt": failedDrill(), "lone.txt": loneDrill(),
	} {
		golden(t, name, text(t, drill, report.Style{}))
	}
}

func TestALossNeverReadsAsNothing(t *testing.T) {
	for want, window := range map[string]time.Duration{
		"(RPO 0s, all after the signal)": 0, "(RPO <1ms)": time.Microsecond, "(RPO 9ms)": 9 * time.Millisecond,
		"(RPO 0.09s)": 90 * time.Millisecond, "(RPO 1.5s)": 1500 * time.Millisecond, "(RPO 2m5s)": 125 * time.Second,
	} {
		r := lossyDrill()
		r.Verdict.Loss.Window = window
		if got := text(t, r, report.Style{}); !strings.Contains(got, "94 acknowledged writes after it lost "+want) {
			t.Errorf("window %s: got %s", window, got)
		}
	}
}

func TestOnlyTheVerdictsWordIsColored(t *testing.T) {
	for color, drill := range map[string]report.Report{
		"\x1b[32mINTACT\x1b[0m": intactDrill(), "\x1b[31mDAMAGED\x1b[0m": damagedDrill(), "\x1b[33mINCONCLUSIVE\x1b[0m": failedDrill(),
	} {
		colored, plain := text(t, drill, report.Style{Color: true}), text(t, drill, report.Style{})
		word := strings.TrimSuffix(color[len("\x1b[32m"):], "\x1b[0m")
		if strings.Contains(plain, "\x1b") {
			t.Errorf("%s: the plain text has an escape sequence", word)
		}
		if strings.Replace(colored, color, word, 1) != plain {
			t.Errorf("%s: more than the word differs:\n%q", word, colored)
		}
	}
}

func TestTheTextOfTheClusterCannotForgeALine(t *testing.T) {
	for line := range strings.Lines(text(t, damagedDrill(), report.Style{})) {
		if strings.HasPrefix(line, "INTACT") {
			t.Errorf("a finding's text made a line of its own: %q", line)
		}
	}
}

func TestJSONComesBackAsItWas(t *testing.T) {
	for _, want := range []report.Report{intactDrill(), lossyDrill(), damagedDrill(), failedDrill(), loneDrill()} {
		want.Verdict.Loss.Window = 3 * time.Nanosecond
		encoded := render(t, func(w io.Writer) error { return report.WriteJSON(w, want) })
		got, err := report.Read(strings.NewReader(encoded))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", want.Title, got, want)
		}
	}
}

func TestEveryFieldHasAStableName(t *testing.T) {
	for _, value := range []any{report.Report{}, report.Summary{}, report.RTO{}, report.Part{}, report.Plan{}, report.Skip{}} {
		typ := reflect.TypeOf(value)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if name == "" || strings.ToLower(name[:1]) != name[:1] {
				t.Errorf("%s.%s has the JSON name %q", typ.Name(), typ.Field(i).Name, name)
			}
		}
	}
}

func TestAReportOfAnotherSchemaIsRefused(t *testing.T) {
	r := intactDrill()
	r.SchemaVersion = report.SchemaVersion + 1
	encoded, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := report.Read(bytes.NewReader(encoded)); !errors.Is(err, report.ErrSchema) {
		t.Errorf("got %v, want %v", err, report.ErrSchema)
	}
}

func TestAReportThatContradictsItselfIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*report.Report){
		"in spite of 1 findings":      func(r *report.Report) { r.Verdict.FindingCount = 1 },
		"damaged without a finding":   func(r *report.Report) { r.Verdict.Outcome = verify.Damaged },
		"neither a verdict":           func(r *report.Report) { r.Verdict = verify.Verdict{} },
		"unknown outcome":             func(r *report.Report) { r.Verdict.Outcome = "fine" },
		"findings listed, 1 counted":  func(r *report.Report) { *r = damagedDrill(); r.Verdict.FindingCount = 1 },
		"does not add up":             func(r *report.Report) { r.RTO.Total += time.Second },
		`"check" does not follow`:     func(r *report.Report) { r.RTO.Parts[2].After -= time.Second },
		"recovery without the signal": func(r *report.Report) { r.RTO.SignalAt = time.Time{} },
	} {
		r := intactDrill()
		spoil(&r)
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error with %q", err, name)
		}
	}
}

func TestTheRecoveryAddsUp(t *testing.T) {
	rto := report.NewRTO(signalAt(), steps())
	if want := 5300 * time.Millisecond; !rto.Complete || rto.Total != want {
		t.Errorf("total is %s (complete: %t), want %s", rto.Total, rto.Complete, want)
	}
	if want := 200 * time.Millisecond; rto.Gap != want {
		t.Errorf("gap is %s, want %s", rto.Gap, want)
	}
	if cut := report.NewRTO(signalAt(), steps()[:4]); cut.Complete || cut.Total != 0 || cut.Gap != 0 {
		t.Errorf("a recovery without a write has the total %s and the gap %s", cut.Total, cut.Gap)
	}
}

func TestTheWorstDrillDecides(t *testing.T) {
	inconclusive, damaged := failedDrill(), damagedDrill()
	for _, c := range []struct {
		drills []report.Report
		want   verify.Outcome
	}{
		{nil, verify.Inconclusive},
		{[]report.Report{intactDrill(), lossyDrill()}, verify.Intact},
		{[]report.Report{intactDrill(), inconclusive}, verify.Inconclusive},
		{[]report.Report{inconclusive, damaged, intactDrill()}, verify.Damaged},
	} {
		if got := report.NewSummary(c.drills, time.Second, report.Left{}).Outcome(); got != c.want {
			t.Errorf("%d drills: got %s, want %s", len(c.drills), got, c.want)
		}
	}
}

func TestTheSummaryTellsWhatIsLeft(t *testing.T) {
	drills := []report.Report{intactDrill(), failedDrill(), damagedDrill()}
	for want, left := range map[string]report.Left{
		"1 of 3 intact, 1 damaged, 1 inconclusive in 1m52s; nothing left behind.": {},
		"2 left (c1 n1), remove with etcd-drill clean.":                           {Names: []string{"c1", "n1"}},
		"what is left is not known: no answer.":                                   {Unchecked: "no answer"},
	} {
		s := report.NewSummary(drills, 112*time.Second, left)
		got := render(t, func(w io.Writer) error { return report.WriteSummary(w, s) })
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want it to contain %q", got, want)
		}
	}
}

// full is a writer that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestAWriterThatFailsIsReported(t *testing.T) {
	for name, err := range map[string]error{
		"header":  report.WriteHeader(full{}, intactDrill()),
		"text":    report.WriteText(full{}, intactDrill(), report.Style{}),
		"json":    report.WriteJSON(full{}, intactDrill()),
		"summary": report.WriteSummary(full{}, report.Summary{}),
	} {
		if !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%s: got %v, want %v", name, err, io.ErrShortWrite)
		}
	}
}

func TestARunOfOneDrillFitsOnATerminal(t *testing.T) {
	worst := damagedDrill().Hold(goals(1, 0, 0))
	worst.Spec.BumpRevision = 1000
	worst.Runtime.RestoreVersion = "3.6.16"
	worst.Verdict.Loss = verify.Loss{Writes: 9, Revisions: 9, Resurrected: 3, ResurrectedKeys: []ledger.Key{"a", "b", "c"}}
	worst.Verdict.Claims = append(worst.Verdict.Claims, verify.Claim{Name: "bump", State: verify.Proved, Text: "begins beyond"})
	for i := range 30 {
		worst.Assumed = append(worst.Assumed, fmt.Sprintf("assumption %d", i))
		worst.Verdict.Hazards = append(worst.Verdict.Hazards, verify.Finding{Text: fmt.Sprintf("hazard %d", i)})
	}
	many := intactDrill()
	many.Assumed = worst.Assumed
	for name, drill := range map[string]report.Report{
		"worst": worst, "damaged": damagedDrill(), "many assumptions": many, "failed": failedDrill(), "lossy": lossyDrill(), "lone": loneDrill(),
	} {
		got := render(t, func(w io.Writer) error {
			summary := report.NewSummary([]report.Report{drill}, time.Second, report.Left{})
			return errors.Join(report.WriteHeader(w, drill), report.WriteText(w, drill, report.Style{}), report.WriteSummary(w, summary))
		})
		if lines := strings.Count(got, "\n"); lines > 25 {
			t.Errorf("%s takes %d lines:\n%s", name, lines, got)
		}
	}
	got := text(t, worst, report.Style{})
	for _, want := range []string{"hazard 0", "more: report.html", "  missing ", "more: verdict.json", "3 keys back", "targets ", "bump "} {
		if !strings.Contains(got, want) {
			t.Errorf("%q was cut from:\n%s", want, got)
		}
	}
	if got := text(t, many, report.Style{}); strings.Count(got, "assumption ") != 8 || !strings.Contains(got, "and 22 more: report.html") {
		t.Errorf("room was left, or nothing said:\n%s", got)
	}
}
