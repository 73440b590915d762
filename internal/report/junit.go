package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// The elements of the XML form that JUnit's Ant task writes and most pipelines read. There is no schema that all agree on; these
// are the elements and attributes that all of them know.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr,omitempty"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Skipped *junitProblem `xml:"skipped"`
		Error   *junitProblem `xml:"error"`
		Failure *junitProblem `xml:"failure"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes the drill as one suite of JUnit's XML: a case for the drill, one for every claim, one for every target. What is
// damaged or missed is a failure, what proved nothing or was not measured an error, and what was left out or assumed is skipped.
func WriteJUnit(w io.Writer, r Report) error {
	suite := junitSuite{
		Name: "etcd-drill", Time: inSeconds(newTimeline(r, Turns{}).span.length()),
		Properties: []junitProperty{
			{"run", oneLine(r.RunID)}, {"seed", fmt.Sprint(r.Seed)}, {"folder", oneLine(r.Folder)},
			{"etcd", oneLine(r.Runtime.EtcdVersion)}, {"tool", oneLine(r.ToolVersion)},
		},
		Cases: r.junitCases(),
	}
	if len(r.Phases) > 0 {
		suite.Timestamp = r.Phases[0].StartedAt.UTC().Format("2006-01-02T15:04:05")
	}
	for _, c := range suite.Cases {
		suite.Tests++
		switch {
		case c.Failure != nil:
			suite.Failures++
		case c.Error != nil:
			suite.Errors++
		case c.Skipped != nil:
			suite.Skipped++
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write report as JUnit: %w", err)
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	err := encoder.Encode(junitSuites{Suites: []junitSuite{suite}})
	if _, last := io.WriteString(w, "\n"); err == nil {
		err = last
	}
	if err != nil {
		return fmt.Errorf("write report as JUnit: %w", err)
	}
	return nil
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

func (r Report) junitCases() []junitCase {
	class := "etcd-drill." + oneLine(r.Title)
	drill := junitCase{Class: class, Name: "drill", Time: inSeconds(newTimeline(r, Turns{}).span.length()), Output: oneLine(r.lossText())}
	switch r.outcome() {
	case verify.Damaged:
		drill.Failure = &junitProblem{Message: count(int64(r.Verdict.FindingCount), "finding"), Type: "damaged", Text: r.findingText()}
	case verify.Inconclusive:
		drill.Error = &junitProblem{Message: r.reason(), Type: "inconclusive", Text: r.findingText()}
	}
	cases := []junitCase{drill}
	for _, claim := range r.Verdict.Claims {
		c := junitCase{Class: class, Name: "claim " + oneLine(claim.Name), Time: inSeconds(0), Output: oneLine(claim.State + ": " + claim.Text)}
		switch claim.State {
		case verify.Proved, verify.Sampled:
		case verify.Disproved:
			c.Failure = &junitProblem{Message: oneLine(claim.Text), Type: claim.State}
		default:
			c.Skipped = &junitProblem{Message: oneLine(claim.State + ": " + claim.Text)}
		}
		cases = append(cases, c)
	}
	for _, t := range r.Targets {
		c := junitCase{Class: class, Name: "target " + oneLine(t.Name), Time: inSeconds(0), Output: oneLine(t.text())}
		switch {
		case t.Unmeasured != "":
			c.Error = &junitProblem{Message: oneLine(t.text()), Type: "not measured"}
		case !t.Met:
			c.Failure = &junitProblem{Message: oneLine(t.text()), Type: "missed"}
		}
		cases = append(cases, c)
	}
	return cases
}

// reason says in one line why the drill proved nothing.
func (r Report) reason() string {
	switch {
	case r.Failure != "":
		return oneLine(r.Failure)
	case len(r.Verdict.Findings) > 0:
		return oneLine(r.Verdict.Findings[0].Text)
	}
	return "it proved nothing"
}

// shownFindings bounds what pipelines are shown of the findings.
const shownFindings = 20

// findingText lists the first findings, one a line.
func (r Report) findingText() string {
	var lines []string
	for _, finding := range r.Verdict.Findings[:min(len(r.Verdict.Findings), shownFindings)] {
		lines = append(lines, oneLine(findingText(finding)))
	}
	if more := r.Verdict.FindingCount - len(lines); more > 0 && len(lines) > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more: verdict.json", more))
	}
	return strings.Join(lines, "\n")
}
