package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// answer is what a page says to one of the three questions of the person on call.
type answer struct {
	Question string
	Short    string // in a word or a figure
	Text     string // what it rests on
	Class    string // "good", "bad" or "unsure"
	Targets  []targetRow
}

// targetRow is a target as a page shows it.
type targetRow struct {
	Name, Wanted, State, Class string
}

const (
	good   = "good"
	bad    = "bad"
	unsure = "unsure"
)

// answers are those to: would it come back, how long, how much is lost.
func (r Report) answers() []answer {
	return []answer{r.comesBack(), r.takes(), r.loses()}
}

func (r Report) comesBack() answer {
	a := answer{Question: "Would it come back?"}
	v := r.Verdict
	switch r.outcome() {
	case verify.Intact:
		a.Short, a.Class = "Yes", good
		held := "hold what the source promised"
		if !r.fromSource() {
			held = "hold the same, and what was acknowledged"
		}
		a.Text = fmt.Sprintf("%s of %d %s: %s explained, %s compared.", count(int64(v.Compared.Members), "member"),
			r.wantedMembers(), held, count(v.Compared.Revisions, "revision"), count(v.Compared.Keys, "key"))
	case verify.Damaged:
		a.Short, a.Class, a.Text = "Damaged", bad, count(int64(v.FindingCount), "finding")+" against it."
		for _, finding := range v.Findings {
			switch finding.Kind {
			case verify.Dead:
				a.Short, a.Text = "No", "The recovered cluster does not live."
			case verify.BadSource:
				a.Short, a.Text = "No", "The backup is proved bad, so nothing was restored from it: see the finding."
			case verify.OtherBackup:
				a.Short, a.Text = "No", "It is not the backup that its manifest describes: see the finding."
			}
		}
	default:
		a.Short, a.Class, a.Text = "Not known", unsure, "The drill proved nothing."
		if r.Failure != "" {
			a.Text = "It ended early: " + oneLine(r.Failure)
		} else if len(v.Findings) > 0 {
			a.Text = oneLine(v.Findings[0].Text)
		}
	}
	if id := r.identityText(); id != "" {
		a.Text += " " + strings.ToUpper(id[:1]) + id[1:] + "."
	}
	return a
}

func (r Report) takes() answer {
	a := answer{Question: "How long?", Class: r.classOf(TargetRTO)}
	a.Targets = r.targetRows(TargetRTO)
	if reason := r.rtoUnknown(); reason != "" {
		a.Short, a.Text = "Not measured", strings.ToUpper(reason[:1])+reason[1:]+"."
		if a.Class == "" {
			a.Class = unsure
		}
		return a
	}
	a.Short, a.Text = seconds(r.RTO.Total), "From the first signal to the first acknowledged write, without human time."
	if r.Backup != nil {
		a.Text = "From the moment at which the backup was taken up to the first acknowledged write, without human time."
	}
	if agree, ok := r.RTO.part(PartAgree); ok {
		a.Text += " All members agreed after " + seconds(agree.After+agree.Duration) + "."
	}
	if a.Class == "" {
		a.Class = good
	}
	return a
}

func (r Report) loses() answer {
	a := answer{Question: "How much is lost?", Class: r.classOf(TargetRPO, TargetMaxLost, TargetCanary)}
	a.Targets = r.targetRows(TargetRPO, TargetMaxLost, TargetCanary)
	loss := r.Verdict.Loss
	switch {
	case r.Backup != nil && r.fresh() != "":
		age, _ := r.age()
		a.Short, a.Text = fine(time.Duration(age)), "The backup holds what was written "+r.fresh()+"."
		if a.Class == "" {
			a.Class = unsure // whether it is too much nobody has said
		}
		return a
	case r.lossUnknown() != "":
		reason := r.lossUnknown()
		a.Short, a.Text = "Not known", strings.ToUpper(reason[:1])+reason[1:]+"."+r.lastChange()
		a.Class = unsure
		return a
	case loss.Writes == 0:
		a.Short, a.Text = "Nothing", "No acknowledged write was lost (RPO 0s)."
	default:
		a.Short = count(loss.Writes, "write")
		a.Text = fmt.Sprintf("Acknowledged, and above revision %d, where %s. The first returned %s before the signal (RPO).",
			r.Verdict.RestorePoint, r.endOfKept(), fine(loss.Window))
		if loss.Window <= 0 {
			a.Text = fmt.Sprintf("Acknowledged, and above revision %d, where %s. All returned after the signal: members do not "+
				"die at once (RPO 0s).", r.Verdict.RestorePoint, r.endOfKept())
		}
	}
	if r.dataDamaged() {
		a.Short, a.Class = count(loss.Writes, "write")+", and damage", bad
		if loss.Writes == 0 {
			a.Text = fmt.Sprintf("No acknowledged write lies above revision %d, where %s.", r.Verdict.RestorePoint, r.endOfKept())
		}
		a.Text += " But what must be there, up to it, is not as it was: see the findings."
	}
	if loss.Resurrected > 0 {
		a.Text += fmt.Sprintf(" %s back because the delete was lost.", are(loss.Resurrected, "key"))
	}
	if a.Class == "" {
		if a.Class = good; loss.Writes > 0 {
			a.Class = unsure // whether it is too much nobody has said
		}
	}
	return a
}

// lastChange says what is known of the age of a backup that holds no time: when its file was changed. It proves nothing, since a copy
// is younger than what it holds, and yet nothing in it can be younger.
func (r Report) lastChange() string {
	if r.Backup == nil || r.Backup.Taken != nil || r.Backup.Modified.IsZero() || r.Plan == nil || len(r.Phases) == 0 {
		return ""
	}
	age := max(r.Phases[0].StartedAt.Sub(r.Backup.Modified), 0)
	return fmt.Sprintf(" Nothing in it is younger than its file, last changed %s, %s before the drill. A key that holds the time tells more "+
		"(--canary).", stamp(r.Backup.Modified), days(age))
}

// days is an age as a person says it.
func days(age time.Duration) string {
	if age < 48*time.Hour {
		return age.Round(time.Second).String()
	}
	return count(int64(age/(24*time.Hour)), "day")
}

// wantedMembers is how many members the recovered cluster must have.
func (r Report) wantedMembers() int {
	if r.Spec.RestoreMembers > 0 {
		return r.Spec.RestoreMembers
	}
	return r.Spec.Members
}

// endOfKept names what ends at the restore point.
func (r Report) endOfKept() string {
	if r.fromSource() {
		return "the source ends"
	}
	return "what was kept ends"
}

// fromSource tells whether the cluster was recovered from a backup. Where it was not, the first member stands for one.
func (r Report) fromSource() bool {
	return r.Backup != nil || r.Plan != nil && r.Plan.SourceSHA256 != ""
}

// dataDamaged tells whether data that the source promises is not there, or not as it was.
func (r Report) dataDamaged() bool {
	return slices.ContainsFunc(r.Verdict.Findings, func(f verify.Finding) bool {
		switch f.Kind {
		case verify.Missing, verify.Changed, verify.Undeleted, verify.Phantom, verify.Torn, verify.Lost, verify.Diverged:
			return f.Outcome == verify.Damaged
		}
		return false
	})
}

// are is a number with its noun and a verb.
func are(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return count(n, noun) + " are"
}

// classOf is the worst state of these targets; empty if none of them was set.
func (r Report) classOf(names ...string) string {
	class := ""
	for _, row := range r.targetRows(names...) {
		if class == "" || row.Class == bad || class == good {
			class = row.Class
		}
	}
	return class
}

func (r Report) targetRows(names ...string) []targetRow {
	var rows []targetRow
	for _, t := range r.Targets {
		for _, name := range names {
			if t.Name != name {
				continue
			}
			row := targetRow{Name: name, Wanted: t.wanted(), State: "missed", Class: bad}
			switch {
			case t.Unmeasured != "":
				row.State, row.Class = "not measured", unsure
			case t.Met:
				row.State, row.Class = "met", good
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// oneLine is text from outside, in one line that nothing in it controls.
func oneLine(text string) string {
	return printable(strings.ReplaceAll(strings.TrimSpace(text), "\n", " | "))
}
