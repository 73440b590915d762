package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

func page(t testing.TB, p report.Page) string {
	t.Helper()
	var out bytes.Buffer
	if err := report.WriteHTML(&out, p); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// turns are those of the sample drills.
func turns() report.Turns {
	return report.Turns{
		AllDown: signalAt().Add(3600 * time.Millisecond), Started: signalAt().Add(4600 * time.Millisecond),
		Fencing: noon().Add(12 * time.Second), Fenced: noon().Add(14 * time.Second),
	}
}

func moments() []report.Moment {
	return []report.Moment{
		{At: noon(), Name: "starting", Text: "3 members"},
		{At: signalAt(), Name: "signalled", Text: "kill m1 m2"},
		{At: noon().Add(14 * time.Second), Name: "closed"},
	}
}

// entries are n writes of the sample load: most of them before the signal, acknowledged; some around it without an answer; some
// refused. Every tenth key is this one.
func entries(n int, key ledger.Key) ledger.Stream[ledger.Entry] {
	return func(yield func(ledger.Entry, error) bool) {
		begin := noon().Add(3100 * time.Millisecond)
		each := 1900 * time.Millisecond / time.Duration(n)
		for i := range n {
			e := ledger.Entry{
				Worker: i % 7, Seq: int64(i/7 + 1), Op: ledger.OpPut, Outcome: ledger.Acknowledged, Revision: int64(i + 2), Owns: true,
				Changes: []ledger.Change{{Key: ledger.Key(fmt.Sprintf("k%d", i)), Digest: "d"}},
				Call:    begin.Add(each * time.Duration(i)), Return: begin.Add(each * time.Duration(i+1)),
			}
			if i%10 == 0 {
				e.Op = ledger.OpTxn
				e.Changes = append(e.Changes, ledger.Change{Key: key, Delete: true})
			}
			if !yield(e, nil) {
				return
			}
		}
		for i, outcome := range []ledger.Outcome{ledger.Unknown, ledger.Refused, ledger.Unknown} {
			at := signalAt().Add(time.Duration(i) * 200 * time.Millisecond)
			e := ledger.Entry{
				Worker: i, Seq: 9999, Op: ledger.OpPut, Call: at.Add(-time.Millisecond), Return: at.Add(100 * time.Millisecond), Outcome: outcome,
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func TestThePageReadsAsItDid(t *testing.T) {
	lossy := lossyDrill().Hold(goals(time.Minute, 0, 94))
	style := regexp.MustCompile(`(?s)<style>.*</style>`)
	for name, p := range map[string]report.Page{
		"lossy.html":   {Report: lossy, Ledger: entries(10200, "/k"), Turns: turns(), Moments: moments()},
		"damaged.html": {Report: damagedDrill(), Ledger: entries(10200, "/k"), Turns: turns(), Moments: moments()},
		"failed.html":  {Report: failedDrill()},
	} {
		golden(t, name, style.ReplaceAllString(page(t, p), "<style></style>"))
	}
}

// element is a start tag with the names of its attributes.
func elements(t *testing.T, document string) []string {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(document))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var found []string
	for {
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			text := start.Name.Local
			for _, attribute := range start.Attr {
				text += " " + attribute.Name.Local
			}
			found = append(found, text)
		}
	}
}

// withText puts the text wherever a text from outside can stand.
func withText(text string) report.Page {
	r := damagedDrill().Hold(goals(time.Minute, 0, 0))
	r.Title, r.Folder, r.Failure, r.ToolVersion, r.RunID = text, text, "x"+text, text, text
	r.Spec.Lose, r.Spec.Source, r.Runtime.Engine, r.Runtime.EtcdOrigin, r.Runtime.RestoreVersion = text, text, text, text, "x"+text
	r.Plan.Route, r.Plan.Loses, r.Plan.Etcdutl, r.Plan.Commands, r.Plan.Warnings = text, "x"+text, "x"+text, []string{text}, []string{text}
	r.Outage.Fault, r.Outage.Victims, r.Outage.Survivors = text, []string{"m1" + text}, nil
	r.Fence.OldMember = text
	r.Identity.NewMembers, r.Identity.OldMembers = nil, nil
	r.Verdict.Findings = r.Verdict.Findings[:1]
	r.Verdict.Findings[0].Key, r.Verdict.Findings[0].Text, r.Verdict.Findings[0].Member = ledger.Key("x"+text), text, text
	r.Verdict.Findings[0].Kind = verify.Kind(text)
	r.Verdict.Hazards = []verify.Finding{{Text: text}}
	r.Verdict.Claims = []verify.Claim{{Name: text, State: text, Text: text}}
	r.Verdict.Loss = verify.Loss{Writes: 1000, Revisions: 1000, Resurrected: 1, ResurrectedKeys: []ledger.Key{ledger.Key(text)}}
	r.Skipped, r.Assumed = []report.Skip{{Ability: text, Reason: text}}, []string{text}
	r.Phases[2].Name, r.RTO.Parts[0].Name = text, text
	r.Verdict.RestorePoint = 9000
	return report.Page{
		Report: r, Ledger: entries(10000, ledger.Key(text)), Turns: turns(), Moments: []report.Moment{{At: noon(), Name: text, Text: text}},
	}
}

func TestNoTextCanBreakOutOfThePage(t *testing.T) {
	for _, hostile := range []string{
		"<script>alert(1)</script>", "</style><script>alert(1)</script>", "</title><img src=x onerror=alert(1)>",
		`"><svg onload=alert(1)>`, `' onmouseover='alert(1)`, "]]><x>", "<!--", "{{.Report}}", "&lt;b&gt;", "javascript:alert(1)",
		"\x00\x1b[2J\r\n\t", "\xff\xfe\x80", "\u202egnp.exe", "x\u2028y", strings.Repeat("<b>", 100),
	} {
		harmless := strings.Map(func(r rune) rune {
			if r == ' ' {
				return r
			}
			return 'x'
		}, hostile)
		document, want := page(t, withText(hostile)), elements(t, page(t, withText(harmless)))
		if got := elements(t, document); !slices.Equal(got, want) {
			t.Errorf("%q changes the elements of the page: %v instead of %v", hostile, firstDifference(got, want), firstDifference(want, got))
		}
		if i := strings.IndexFunc(document, func(r rune) bool { return r < ' ' && r != '\n' || r == '\u202e' || r == '\u2028' }); i >= 0 {
			t.Errorf("%q leaves a control character in the page: %q", hostile, document[max(i-40, 0):i+20])
		}
	}
}

func firstDifference(got, want []string) string {
	for i := range got {
		if i >= len(want) || got[i] != want[i] {
			return got[i]
		}
	}
	return "nothing more"
}

func TestThePageNeedsNothingBesideItself(t *testing.T) {
	document := page(t, report.Page{Report: lossyDrill(), Ledger: entries(1000, "/k"), Turns: turns(), Moments: moments()})
	for _, element := range elements(t, document) {
		name, attributes, _ := strings.Cut(element, " ")
		if slices.Contains([]string{"script", "link", "img", "iframe", "object", "embed", "a", "form", "base", "use", "image"}, name) {
			t.Errorf("the page has a <%s>", name)
		}
		for attribute := range strings.FieldsSeq(attributes) {
			if strings.HasPrefix(attribute, "on") || slices.Contains([]string{"src", "href", "style", "srcset", "action"}, attribute) {
				t.Errorf("<%s> has the attribute %s", name, attribute)
			}
		}
	}
	for _, reference := range []string{"url(", "@import", "@font-face", "src:"} {
		if strings.Contains(document, reference) {
			t.Errorf("the page holds %q", reference)
		}
	}
}

func TestThePageDoesNotGrowWithTheLoad(t *testing.T) {
	size := func(n int) int {
		return len(page(t, report.Page{Report: lossyDrill(), Ledger: entries(n, "/k"), Turns: turns(), Moments: moments()}))
	}
	if few, many := size(10_200), size(100_000); many > few+few/20 {
		t.Errorf("%d bytes for 100000 writes, %d for 10200", many, few)
	}
}

func TestThePageOfEveryDrillRenders(t *testing.T) {
	kept := intactDrill()
	kept.Outage.QuorumLost, kept.RTO = false, report.RTO{}
	for want, p := range map[string]report.Page{
		"No acknowledged write was lost (RPO 0s).":           {Report: intactDrill(), Turns: turns()},
		"The quorum was never lost, so there was nothing":    {Report: kept.Hold(goals(1, 0, 0))},
		"alone, not fenced":                                  {Report: loneDrill(), Turns: turns()},
		"the ledger was not ended":                           {Report: intactDrill(), Ledger: unended(50, ledger.ErrUnended)},
		"the ledger is shown as far as it can be read: torn": {Report: intactDrill(), Ledger: unended(50, errors.New("torn"))},
		"It ended early: start 3 members":                    {Report: failedDrill(), Moments: moments()},
		"Nothing was judged.":                                {},
	} {
		if got := page(t, p); !strings.Contains(strings.ToLower(got), strings.ToLower(want)) {
			t.Errorf("%q is not in the page of %q", want, p.Report.Title)
		}
	}
}

// unended is a ledger that ends with an error.
func unended(n int, err error) ledger.Stream[ledger.Entry] {
	return func(yield func(ledger.Entry, error) bool) {
		for e, none := range entries(n, "/k") {
			if !yield(e, none) {
				return
			}
		}
		yield(ledger.Entry{}, err)
	}
}

func TestAPageThatCannotBeWrittenIsReported(t *testing.T) {
	if err := report.WriteHTML(full{}, report.Page{Report: intactDrill()}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v, want %v", err, io.ErrShortWrite)
	}
}

// BenchmarkPageOf100000Writes reads a ledger as it lies on disk, and renders it.
func BenchmarkPageOf100000Writes(b *testing.B) {
	var stored bytes.Buffer
	writer := ledger.NewWriter(&stored)
	for e, err := range entries(100_000, "/k") {
		if err := errors.Join(err, writer.Append(e)); err != nil {
			b.Fatal(err)
		}
	}
	if err := writer.End(); err != nil {
		b.Fatal(err)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(stored.Bytes())), nil }
	b.ReportAllocs()
	for b.Loop() {
		p := report.Page{Report: lossyDrill(), Ledger: ledger.ReadEntries(open), Turns: turns(), Moments: moments()}
		if err := report.WriteHTML(io.Discard, p); err != nil {
			b.Fatal(err)
		}
	}
}
