package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// pipelineRun has a drill of every result.
func pipelineRun() report.Summary {
	missed := lossyDrill().Hold(goals(time.Minute, 0, 94))
	unmeasured := loneDrill().Hold(report.Goals{RTO: ptr(time.Minute)})
	unmeasured.Verdict.Compared.Members = 1
	drills := []report.Report{intactDrill(), missed, damagedDrill(), failedDrill(), unmeasured}
	return report.NewSummary(drills, 0, report.Left{Names: []string{}})
}

func TestAPipelineIsTold(t *testing.T) {
	golden(t, "summary.md", render(t, func(w io.Writer) error { return report.WriteMarkdown(w, pipelineRun()) }))
	golden(t, "annotations.txt", render(t, func(w io.Writer) error { return report.WriteAnnotations(w, pipelineRun()) }))
	for name, drill := range map[string]report.Report{
		"damaged.xml": damagedDrill(), "lossy.xml": pipelineRun().Drills[1], "failed.xml": failedDrill(), "lone.xml": pipelineRun().Drills[4],
	} {
		golden(t, name, render(t, func(w io.Writer) error { return report.WriteJUnit(w, drill) }))
	}
}

func TestOutputsAreThoseOfTheWorstDrill(t *testing.T) {
	for want, drills := range map[string][]report.Report{
		"verdict=intact\nresult=passed\nrto=5.3s\nrpo=90ms\nlost=94\n": {intactDrill(), lossyDrill()},
		"verdict=inconclusive\nresult=unproved\nrto=\nrpo=\nlost=\n":   {failedDrill(), lossyDrill()},
		"verdict=intact\nresult=failed\nrto=5.3s\nrpo=0s\nlost=0\n":    {intactDrill().Hold(goals(1, 0, 0))},
		"verdict=damaged\nresult=failed\nrto=5.3s\nrpo=0s\nlost=0\n":   {damagedDrill()},
	} {
		s := report.NewSummary(drills, 0, report.Left{})
		if got := render(t, func(w io.Writer) error { return report.WriteOutputs(w, s) }); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestEveryPartOfTheProofIsACase(t *testing.T) {
	r := lossyDrill().Hold(goals(time.Minute, 0, 94))
	r.Verdict.Claims = []verify.Claim{
		{Name: "a", State: verify.Proved}, {Name: "b", State: verify.Sampled}, {Name: "c", State: verify.Assumed},
		{Name: "d", State: verify.LeftOut}, {Name: "e", State: verify.Disproved}, {Name: "f", State: "guessed"},
	}
	var suites struct {
		Suite struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Errors   int `xml:"errors,attr"`
			Skipped  int `xml:"skipped,attr"`
			Cases    []struct {
				Name string `xml:"name,attr"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	written := render(t, func(w io.Writer) error { return report.WriteJUnit(w, r) })
	if err := xml.Unmarshal([]byte(written), &suites); err != nil {
		t.Fatal(err)
	}
	s := suites.Suite
	if s.Tests != 10 || len(s.Cases) != 10 || s.Failures != 2 || s.Errors != 0 || s.Skipped != 3 {
		t.Errorf("%+v", s)
	}
}

// hostileRun is full of what means something to those who read it.
func hostileRun() report.Summary {
	p := withText("x\n::error::y%0A]]>&<b>|@all`*[a](b)\x1b\xff")
	p.Report.Verdict.Findings[0].Key = ledger.Key("<script>\x00")
	return report.NewSummary([]report.Report{p.Report}, 0, report.Left{})
}

func TestNoTextSpeaksToThePipeline(t *testing.T) {
	run := hostileRun()
	annotations := render(t, func(w io.Writer) error { return report.WriteAnnotations(w, run) })
	if lines := strings.Count(annotations, "\n"); lines != 2 {
		t.Errorf("%d lines for a drill and a hazard: %q", lines, annotations)
	}
	if strings.Contains(annotations, "%0A") {
		t.Errorf("a line break is made: %q", annotations)
	}
	page := render(t, func(w io.Writer) error { return report.WriteMarkdown(w, run) })
	for _, bad := range []string{"<b>", "<script", "\n::", "\x1b", " [a]", "\x00"} {
		if strings.Contains(page, bad) {
			t.Errorf("the Markdown holds %q:\n%s", bad, page)
		}
	}
	var any struct{}
	written := render(t, func(w io.Writer) error { return report.WriteJUnit(w, run.Drills[0]) })
	if err := xml.Unmarshal([]byte(written), &any); err != nil {
		t.Errorf("no XML any more: %v", err)
	}
}

func TestWritersForPipelinesReportAFailure(t *testing.T) {
	run := pipelineRun()
	for name, err := range map[string]error{
		"markdown": report.WriteMarkdown(full{}, run), "annotations": report.WriteAnnotations(full{}, run),
		"junit": report.WriteJUnit(full{}, run.Drills[0]), "outputs": report.WriteOutputs(full{}, run),
	} {
		if !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
