package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// shownKeys bounds how many keys one line lists.
const shownKeys = 5

// sideLines tell what is dangerous, and what the verdict does not cover: what was left out, assumed or skipped. The first matter most.
func (r Report) sideLines() []string {
	var lines []string
	if r.Plan != nil {
		for _, warning := range r.Plan.Warnings {
			lines = append(lines, row("warning", warning, ""))
		}
	}
	lines = append(lines, r.backupSideLines()...)
	for _, hazard := range r.Verdict.Hazards {
		lines = append(lines, row("hazard", hazard.Text, ""))
	}
	for _, state := range []string{verify.LeftOut, verify.Assumed} {
		for _, claim := range r.Verdict.Claims {
			if claim.State == state && !r.hidden(claim) {
				lines = append(lines, row(state, claim.Name+": "+claim.Text, ""))
			}
		}
	}
	for _, assumption := range r.Assumed {
		lines = append(lines, row("assumed", assumption, ""))
	}
	for _, skip := range r.Skipped {
		lines = append(lines, row("skipped", skip.Ability+": "+skip.Reason, ""))
	}
	return lines
}

func (r Report) verdictLine(s Style) string {
	word := strings.ToUpper(string(r.outcome()))
	var parts []string
	if r.Failure != "" {
		parts = append(parts, strings.ReplaceAll(r.Failure, "\n", " | ")) // joined errors, and log lines of a member
	}
	if missed := r.missed(); len(missed) > 0 {
		parts = append(parts, "target missed: "+strings.Join(missed, ", "))
	}
	if n := r.Verdict.FindingCount; n > 0 {
		parts = append(parts, count(int64(n), "finding"))
	}
	parts = append(parts, r.lossText())
	line := row(word, strings.Join(parts, "; "), r.Folder)
	if !s.Color {
		return line
	}
	return strings.Replace(line, word, paint(word, r.Result()), 1)
}

// lossText stands beside every verdict.
func (r Report) lossText() string {
	loss := r.Verdict.Loss
	switch {
	case r.Backup != nil && r.Plan == nil:
		return "nothing was restored"
	case r.Backup != nil && r.fresh() != "":
		return r.fresh()
	case r.Backup != nil && r.Verdict.Outcome != "":
		return "what was written after the backup is not known"
	case r.lossUnknown() != "":
		return "loss not known"
	}
	if loss.Writes == 0 {
		return "0 acknowledged writes lost (RPO 0s)"
	}
	rpo := fine(loss.Window)
	if loss.Window <= 0 {
		rpo += ", all after the signal" // a loss of no time needs a word: members do not die at once
	}
	return fmt.Sprintf("up to revision %d; %s after it lost (RPO %s): lost.jsonl",
		r.Verdict.RestorePoint, count(loss.Writes, "acknowledged write"), rpo)
}

// findingCount is how many lines all findings take, and what came back although it was deleted.
func (r Report) findingCount() int {
	n := r.Verdict.FindingCount
	if r.Verdict.Loss.Resurrected > 0 {
		n++
	}
	return n
}

// findingLines lists what is wrong, and what came back although it was deleted, in as many lines.
func (r Report) findingLines(room int) []string {
	var lines []string
	last := ""
	if n := r.Verdict.Loss.Resurrected; n > 0 {
		last = "  " + printable(resurrectedText(n, r.Verdict.Loss))
		room--
	}
	listed := min(len(r.Verdict.Findings), room)
	if r.Verdict.FindingCount > room {
		listed = max(min(listed, room-1), 0)
	}
	for _, finding := range r.Verdict.Findings[:listed] {
		lines = append(lines, "  "+printable(findingText(finding)))
	}
	if more := r.Verdict.FindingCount - listed; more > 0 {
		lines = append(lines, fmt.Sprintf("  … and %d more: verdict.json", more))
	}
	if last != "" {
		lines = append(lines, last)
	}
	return lines
}

// findingText is one finding: its kind, where, and the judge's sentence.
func findingText(f verify.Finding) string {
	text := fmt.Sprintf("%-11s", f.Kind)
	if f.Member != "" {
		text += " " + f.Member
	}
	if f.Key != "" {
		text += " " + strconv.Quote(string(f.Key))
	}
	if f.Revision != 0 {
		text += " revision " + strconv.FormatInt(f.Revision, 10)
	}
	return text + ": " + f.Text
}

func resurrectedText(n int64, loss verify.Loss) string {
	var keys []string
	for i, key := range loss.ResurrectedKeys {
		if i == shownKeys {
			break
		}
		keys = append(keys, strconv.Quote(string(key)))
	}
	text := count(n, "key") + " back because the delete was lost: " + strings.Join(keys, " ")
	if more := n - int64(len(keys)); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// paint sets a verdict's word in the color of the result, by the SGR sequences of ECMA-48.
func paint(word string, result Result) string {
	var color int
	switch result {
	case Passed:
		color = 32 // green
	case Failed:
		color = 31 // red
	default:
		color = 33 // yellow
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", color, word)
}
