package matchers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega/types"

	"github.com/etcd-drill/etcd-drill/drill"
)

// BeIntact succeeds on a drill.Verdict that proves the recovered cluster to hold what it must.
func BeIntact() types.GomegaMatcher { return verdict{name: "BeIntact", outcome: drill.Intact} }

// BeDamaged succeeds on a drill.Verdict that is damaged and has every finding that is asked for. Other findings may stand
// beside them.
func BeDamaged(wanted ...FindingWanted) types.GomegaMatcher {
	return verdict{name: "BeDamaged", outcome: drill.Damaged, wanted: wanted}
}

// BeInconclusive succeeds on a drill.Verdict that is inconclusive and has every finding that is asked for. Other findings
// may stand beside them.
func BeInconclusive(wanted ...FindingWanted) types.GomegaMatcher {
	return verdict{name: "BeInconclusive", outcome: drill.Inconclusive, wanted: wanted}
}

// FindingWanted is a finding that a verdict must have.
type FindingWanted struct {
	kind drill.FindingKind
	key  string
}

// WithFinding asks for a finding of this kind about this key; an empty key is any, or none.
func WithFinding(kind drill.FindingKind, key string) FindingWanted {
	return FindingWanted{kind: kind, key: key}
}

func (w FindingWanted) isIn(v drill.Verdict) bool {
	return slices.ContainsFunc(v.Findings, func(f drill.Finding) bool {
		return f.Kind == w.kind && (w.key == "" || string(f.Key) == w.key)
	})
}

func (w FindingWanted) String() string {
	if w.key == "" {
		return string(w.kind)
	}
	return fmt.Sprintf("%s of key %q", w.kind, w.key)
}

type verdict struct {
	name    string
	outcome drill.Outcome
	wanted  []FindingWanted
}

// Match implements types.GomegaMatcher.
func (m verdict) Match(actual any) (bool, error) {
	v, ok := actual.(drill.Verdict)
	if !ok {
		return false, fmt.Errorf("%s takes the drill.Verdict that Verify, VerifyHealed or Judge returns, and was given %s", m.name, given(actual))
	}
	return v.Outcome == m.outcome && len(m.absent(v)) == 0, nil
}

// absent returns the findings that are asked for and that the verdict does not have.
func (m verdict) absent(v drill.Verdict) []string {
	var absent []string
	for _, w := range m.wanted {
		if !w.isIn(v) {
			absent = append(absent, w.String())
		}
	}
	return absent
}

// FailureMessage implements types.GomegaMatcher.
func (m verdict) FailureMessage(actual any) string {
	v := actual.(drill.Verdict)
	wanted := fmt.Sprintf("Expected the verdict to be %s", m.outcome)
	if absent := m.absent(v); len(absent) > 0 {
		wanted += " with the findings: " + strings.Join(absent, ", ")
	}
	return wanted + ".\n" + indent(Explain(v))
}

// NegatedFailureMessage implements types.GomegaMatcher.
func (m verdict) NegatedFailureMessage(actual any) string {
	wanted := fmt.Sprintf("Expected the verdict not to be %s", m.outcome)
	if len(m.wanted) > 0 {
		var all []string
		for _, w := range m.wanted {
			all = append(all, w.String())
		}
		wanted += " with the findings: " + strings.Join(all, ", ")
	}
	return wanted + ".\n" + indent(Explain(actual.(drill.Verdict)))
}

// shownFindings bounds how many findings a message lists.
const shownFindings = 20

// Explain puts a verdict into lines for people: outcome and loss, what was compared, every claim, and the first findings.
func Explain(v drill.Verdict) string {
	outcome := string(v.Outcome)
	if outcome == "" {
		outcome = "no verdict"
	}
	lines := []string{
		fmt.Sprintf("%s up to revision %d; %d acknowledged writes after it lost", strings.ToUpper(outcome), v.RestorePoint, v.Loss.Writes),
		fmt.Sprintf("ledger     %d acknowledged, %d unknown, %d refused", v.Tally.Acknowledged, v.Tally.Unknown, v.Tally.Refused),
		fmt.Sprintf("compared   %d revisions, %d keys, %d members", v.Compared.Revisions, v.Compared.Keys, v.Compared.Members),
	}
	for _, c := range v.Claims {
		lines = append(lines, fmt.Sprintf("%-10s %s: %s", c.Name, c.State, c.Text))
	}
	if v.FindingCount == 0 {
		return strings.Join(append(lines, "findings   none"), "\n")
	}
	lines = append(lines, fmt.Sprintf("findings   %d", v.FindingCount))
	for _, f := range v.Findings[:min(len(v.Findings), shownFindings)] {
		lines = append(lines, "  "+findingLine(f))
	}
	if more := v.FindingCount - min(len(v.Findings), shownFindings); more > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", more))
	}
	return strings.Join(lines, "\n")
}

func findingLine(f drill.Finding) string {
	line := string(f.Kind)
	if f.Member != "" {
		line += " on " + f.Member
	}
	if f.Key != "" {
		line += fmt.Sprintf(", key %q", string(f.Key))
	}
	return line + ": " + f.Text
}
