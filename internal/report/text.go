package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// Style says how text is shown.
type Style struct {
	// Color sets the verdict's word in color. Nothing else ever is.
	Color bool
}

// The columns of the text form: a phase's name, what happened, and what is said beside it.
const (
	nameWidth = 8
	textWidth = 43
)

// WriteHeader writes the lines that stand once above all drills of a run: tool, seed, run, engine, and the etcd in use.
func WriteHeader(w io.Writer, r Report) error {
	head := "etcd-drill " + r.ToolVersion
	for _, part := range []string{fmt.Sprintf("seed %d", r.Seed), "run " + r.RunID, r.Runtime.Engine} {
		if strings.TrimSpace(part) != "" {
			head += "  " + part
		}
	}
	label := "image"
	if r.Runtime.Name != "docker" {
		label = "binary"
	}
	lines := []string{printable(head)}
	if r.Runtime.Chosen != "" {
		lines = append(lines, printable(fmt.Sprintf("%-*s %s", nameWidth+1, "runtime", r.Runtime.Chosen)))
	}
	if r.Runtime.EtcdVersion != "" {
		etcd := fmt.Sprintf("%-*s etcd %s: %s", nameWidth+1, label, r.Runtime.EtcdVersion, r.Runtime.EtcdOrigin)
		lines = append(lines, printable(etcd))
	}
	if r.Runtime.RestoreVersion != r.Runtime.EtcdVersion && r.Runtime.RestoreVersion != "" {
		restore := fmt.Sprintf("%-*s etcd %s: %s", nameWidth+1, "restore", r.Runtime.RestoreVersion, r.Runtime.RestoreOrigin)
		lines = append(lines, printable(restore))
	}
	return writeLines(w, lines)
}

// WriteText writes one drill on at most 20 lines: its title, a line for every phase that took place, what the verdict does not cover,
// the verdict with the loss beside it, and what the verdict found. Text from outside, such as keys, cannot control the terminal.
func WriteText(w io.Writer, r Report, s Style) error {
	lines := []string{printable(fmt.Sprintf("drill %d/%d %s", r.Number, r.Of, r.Title))}
	lines = append(lines, r.phaseLines()...)
	end := []string{r.verdictLine(s)}
	if targets := r.targetLine(); targets != "" {
		end = []string{targets, end[0]}
	}
	sides := r.sideLines()
	room := max(textLines-len(lines)-len(end), 2)
	forFindings := min(r.findingCount(), max(room-len(sides), (room+1)/2))
	lines = append(lines, cut(sides, room-forFindings)...)
	lines = append(lines, end...)
	return writeLines(w, append(lines, r.findingLines(forFindings)...))
}

// textLines bounds the text form of a drill: a run of one drill, with what stands above and below it, fits on a terminal of 25
// lines. The page and the JSON form have the rest.
const textLines = 20

// cut keeps as many lines as there is room for, and says how many others there are.
func cut(lines []string, room int) []string {
	if len(lines) <= room {
		return lines
	}
	keep := max(room-1, 0)
	return append(slices.Clone(lines[:keep]), row("…", fmt.Sprintf("and %d more: report.html", len(lines)-keep), ""))
}

// row lays out one line: name, text, and the note in the column after it.
func row(name, text, note string) string {
	if note == "" {
		return printable(fmt.Sprintf(" %-*s %s", nameWidth, name, text))
	}
	return printable(fmt.Sprintf(" %-*s %-*s  %s", nameWidth, name, textWidth-2, text, note))
}

func writeLines(w io.Writer, lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " ")); err != nil {
			return fmt.Errorf("write report as text: %w", err)
		}
	}
	return nil
}

// printable replaces what could control a terminal: texts carry keys and error messages of the cluster under test.
func printable(text string) string {
	return strings.Map(printableRune, text)
}

func printableRune(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}
