package report

import (
	"fmt"
	"html"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// WriteMarkdown writes the run as GitHub's flavour of Markdown, for the summary of a job's step.
func WriteMarkdown(w io.Writer, s Summary) error {
	var text strings.Builder
	fmt.Fprintf(&text, "## etcd-drill: %s\n\n", s.Result())
	text.WriteString("| drill | verdict | RTO | lost | targets |\n|---|---|---|---|---|\n")
	for _, r := range s.Drills {
		targets := "none"
		if len(r.Targets) > 0 {
			targets = strings.Join(mapped(r.Targets, Target.text), "; ")
		}
		fmt.Fprintf(&text, "| %s | %s **%s** | %s | %s | %s |\n", markdown(r.Title), mark(r.Result()), strings.ToUpper(string(r.outcome())),
			markdown(r.rtoText()), markdown(r.lossText()), markdown(targets))
	}
	for _, r := range s.Drills {
		text.WriteString("\n")
		text.WriteString(r.markdownDetails())
	}
	fmt.Fprintf(&text, "\n%s\n", markdown(s.Left.text()))
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("write summary as Markdown: %w", err)
	}
	return nil
}

func mapped[T any](values []T, text func(T) string) []string {
	var texts []string
	for _, value := range values {
		texts = append(texts, text(value))
	}
	return texts
}

// mark is a sign for the result, for who does not see colors.
func mark(result Result) string {
	return map[Result]string{Passed: "✅", Failed: "❌", Unproved: "⚠️"}[result]
}

// rtoText is the recovery time, or why there is none.
func (r Report) rtoText() string {
	if reason := r.rtoUnknown(); reason != "" {
		return "not measured: " + reason
	}
	return seconds(r.RTO.Total)
}

// markdownDetails is what folds out below the table.
func (r Report) markdownDetails() string {
	var text strings.Builder
	open := ""
	if r.Result() != Passed {
		open = " open"
	}
	fmt.Fprintf(&text, "<details%s><summary>%s</summary>\n\n", open, html.EscapeString(oneLine(r.Title)))
	if r.outcome() == verify.Inconclusive {
		fmt.Fprintf(&text, "%s\n\n", markdown(r.reason()))
	}
	if len(r.Verdict.Claims) > 0 {
		text.WriteString("| claim | state | |\n|---|---|---|\n")
	}
	for _, claim := range r.Verdict.Claims {
		fmt.Fprintf(&text, "| %s | %s | %s |\n", markdown(claim.Name), markdown(claim.State), markdown(claim.Text))
	}
	text.WriteString("\n")
	if listed := r.findingText(); listed != "" {
		for line := range strings.Lines(listed) {
			fmt.Fprintf(&text, "- %s\n", markdown(line))
		}
		text.WriteString("\n")
	}
	for _, hazard := range r.Verdict.Hazards {
		fmt.Fprintf(&text, "- hazard: %s\n", markdown(hazard.Text))
	}
	for _, assumption := range r.Assumed {
		fmt.Fprintf(&text, "- assumed: %s\n", markdown(assumption))
	}
	for _, skip := range r.Skipped {
		fmt.Fprintf(&text, "- skipped: %s\n", markdown(skip.Ability+": "+skip.Reason))
	}
	fmt.Fprintf(&text, "\nSeed %d, evidence in %s\n\n</details>\n", r.Seed, markdown(r.Folder))
	return text.String()
}

// markdown makes one line of a text that Markdown and HTML take as it is: every sign of ASCII that could mean something is escaped.
func markdown(text string) string {
	var out strings.Builder
	for _, r := range oneLine(text) {
		switch {
		case r == '<':
			out.WriteString("&lt;")
			continue
		case r == '&':
			out.WriteString("&amp;")
			continue
		case r < unicode.MaxASCII && strings.ContainsRune("\\`*_{}[]()>#+!|~$", r):
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}

// WriteAnnotations writes the commands with which a step tells GitHub what to show beside the run: an error for every drill that did
// not pass, a notice for the others, a warning for every hazard.
func WriteAnnotations(w io.Writer, s Summary) error {
	var lines []string
	for _, r := range s.Drills {
		level, head := "error", string(r.outcome())
		texts := []string{r.Title}
		switch r.Result() {
		case Passed:
			level = "notice"
			texts = append(texts, "first write after "+r.rtoText())
		case Failed:
			if missed := r.missed(); len(missed) > 0 {
				head += ", target missed"
			}
			if len(r.Verdict.Findings) > 0 {
				texts = append(texts, findingText(r.Verdict.Findings[0]))
			}
		case Unproved:
			if r.outcome() == verify.Intact {
				head += ", target not measured"
			} else {
				texts = append(texts, r.reason())
			}
		}
		for _, t := range r.Targets {
			texts = append(texts, t.text())
		}
		texts = append(texts, r.lossText())
		lines = append(lines, annotation(level, "etcd-drill: "+head, strings.Join(texts, "; ")))
		for _, hazard := range r.Verdict.Hazards {
			lines = append(lines, annotation("warning", "etcd-drill: hazard", hazard.Text))
		}
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return fmt.Errorf("write annotations: %w", err)
		}
	}
	return nil
}

// annotation is one workflow command, escaped as GitHub's own toolkit does it (actions/toolkit, packages/core/src/command.ts).
func annotation(level, title, text string) string {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	return fmt.Sprintf("::%s title=%s::%s", level, property.Replace(oneLine(title)), data.Replace(oneLine(text)))
}

// WriteOutputs writes what later steps of a GitHub job may read: the worst verdict, the longest recovery, the greatest loss of the
// run, and whether all passed. What is not known is empty.
func WriteOutputs(w io.Writer, s Summary) error {
	var rto, rpo time.Duration
	lost, rtoKnown, lossKnown := int64(0), len(s.Drills) > 0, len(s.Drills) > 0
	for _, r := range s.Drills {
		rtoKnown = rtoKnown && r.rtoUnknown() == ""
		lossKnown = lossKnown && r.lossUnknown() == ""
		rto, rpo, lost = max(rto, r.RTO.Total), max(rpo, r.Verdict.Loss.Window), max(lost, r.Verdict.Loss.Writes)
	}
	known := func(known bool, text string) string {
		if !known {
			return ""
		}
		return text
	}
	_, err := fmt.Fprintf(w, "verdict=%s\nresult=%s\nrto=%s\nrpo=%s\nlost=%s\n", s.Outcome(), s.Result(),
		known(rtoKnown, rto.Round(time.Millisecond).String()), known(lossKnown, rpo.Round(time.Millisecond).String()),
		known(lossKnown, fmt.Sprint(lost)))
	if err != nil {
		return fmt.Errorf("write outputs: %w", err)
	}
	return nil
}
