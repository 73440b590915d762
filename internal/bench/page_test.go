package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
)

func pageOf(t *testing.T, run Run) string {
	t.Helper()
	var page bytes.Buffer
	if err := WriteHTML(&page, run); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

// severalSizes is a run of three sizes.
func severalSizes() Run {
	run := runOf(800, 805, 795)
	for i, size := range []int64{16 << 20, 4 << 30} {
		other := runOf(210+1500*float64(i), 212+1500*float64(i), 209+1500*float64(i))
		other.each(func(c *Config) { c.SizeBytes = size })
		for j := range other.Samples {
			other.Samples[j].SourceBytes = size
		}
		run.Matrix, run.Samples = append(run.Matrix, other.Matrix...), append(run.Samples, other.Samples...)
	}
	return run
}

func TestThePageShowsTheCurveThePhasesAndEveryRun(t *testing.T) {
	run := severalSizes()
	failed := run.Samples[1]
	failed.Round, failed.Failure = 3, "the disk was full"
	run.Samples[3] = failed
	page := pageOf(t, run)
	for _, want := range []string{
		"for every GiB", `class="band"`, `class="line"`, "Not everything was measured", "the disk was full", "round 3 of size=1GiB",
		"linux/amd64, 2 x some processor, 8 GiB", `class="phase-restore" x="0.0%"`, "restore 640ms", "80 %", "source=snapshot/route=restore",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	// Eight measurements count: each is a dot beside the line, and one beside its median.
	if dots := strings.Count(page, `<circle class="dot"`); dots != 2*8 {
		t.Errorf("got %d dots, want 16", dots)
	}
	if whole := pageOf(t, severalSizes()); strings.Contains(whole, "Not everything was measured") {
		t.Error("a whole run is called part of one")
	}
}

func TestWhatHoldsLittleHasAPage(t *testing.T) {
	empty := runOf()
	empty.Samples = nil
	if page := pageOf(t, empty); strings.Contains(page, "<svg") {
		t.Error("nothing was measured, and a picture shows it")
	}
	if page := pageOf(t, runOf(800)); strings.Contains(page, `class="line"`) || !strings.Contains(page, "no line can be put through it") {
		t.Error("a line through one measurement")
	}
	for _, run := range []Run{empty, runOf(800), severalSizes()} {
		if page := pageOf(t, run); strings.Contains(page, "NaN") || strings.Contains(page, "Inf") {
			t.Error("a figure that is none")
		}
	}
}

// TestTextOfARunIsNothingElse puts what could be markup wherever a text stands.
func TestTextOfARunIsNothingElse(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=1>'` + "\u202e\x07"
	plain, marked := severalSizes(), severalSizes()
	for text, run := range map[string]*Run{"plain": &plain, evil: &marked} {
		run.Host.CPU, run.Host.Kernel, run.Tool = text, text, text
		run.each(func(c *Config) { c.Disk, c.Etcd, c.Runtime, c.Source, c.Route = text, text, text, text, text })
		for i := range run.Samples {
			run.Samples[i].Phases = append(run.Samples[i].Phases, Phase{Name: text, Took: time.Second})
		}
		run.Samples[1].Failure = text
	}
	want, got := elementsOf(t, pageOf(t, plain)), elementsOf(t, pageOf(t, marked))
	if strings.Join(want, "\n") != strings.Join(got, "\n") {
		t.Errorf("a text became markup: %d elements, %d without it", len(got), len(want))
	}
	if page := pageOf(t, marked); strings.ContainsAny(page, "\u202e\x07") {
		t.Error("a control character went through")
	}
}

// elementsOf are the start tags, with the names of their attributes.
func elementsOf(t *testing.T, page string) (found []string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(page))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
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

func TestThePageNeedsNothingFromElsewhere(t *testing.T) {
	page := pageOf(t, severalSizes())
	if found := regexp.MustCompile(`https?:|//[a-z]|<script|<link|<img|@import|url\(|href=|src=`).FindString(page); found != "" {
		t.Errorf("the page holds %q", found)
	}
	for _, want := range []string{"default-src 'none'", "prefers-color-scheme: dark", `content="light dark"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}
