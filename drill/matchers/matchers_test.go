package matchers_test

import (
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega/types"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
)

func lostOutage() *drill.Outage {
	now := time.Now()
	return &drill.Outage{Outage: &faults.Outage{
		Fault: "kill", Target: faults.Quorum, Victims: []string{"m1", "m2"}, Survivors: []string{"m3"},
		Proof: faults.Proof{Lost: true, Since: now, At: now.Add(3011 * time.Millisecond), Reads: 4},
	}}
}

func keptOutage() *drill.Outage {
	return &drill.Outage{Outage: &faults.Outage{
		Fault: "kill", Target: faults.Tolerable, Victims: []string{"m1"}, Survivors: []string{"m2", "m3"},
		Proof: faults.Proof{Reason: "m2 answered a linearizable read 12ms after the fault took effect"},
	}}
}

func silentOutage() *drill.Outage {
	return &drill.Outage{Outage: &faults.Outage{
		Fault: "wipe", Target: faults.All, Victims: []string{"m1"}, Proof: faults.Proof{Lost: true},
	}}
}

func unknownOutage() *drill.Outage { return &drill.Outage{Outage: &faults.Outage{Fault: "kill"}} }

func intact() drill.Verdict {
	return drill.Verdict{Outcome: drill.Intact, RestorePoint: 1032, Claims: []drill.Claim{
		{Name: "prefix", State: "proved", Text: "1031 revisions explained"},
	}}
}

func damaged() drill.Verdict {
	return drill.Verdict{
		Outcome: drill.Damaged, RestorePoint: 1032, FindingCount: 3,
		Findings: []drill.Finding{
			{Kind: drill.Missing, Outcome: drill.Damaged, Key: "/w01/k000002", Text: "acknowledged at revision 7 and not there"},
			{Kind: drill.Diverged, Outcome: drill.Damaged, Member: "m2", Text: "its HashKV differs"},
		},
		Claims: []drill.Claim{{Name: "prefix", State: "disproved", Text: "1030 revisions explained"}},
	}
}

func inconclusive() drill.Verdict {
	return drill.Verdict{Outcome: drill.Inconclusive, FindingCount: 1, Findings: []drill.Finding{
		{Kind: drill.TooLittle, Outcome: drill.Inconclusive, Text: "no call was in flight"},
	}}
}

func TestMatch(t *testing.T) {
	missing := func(key string) matchers.FindingWanted { return matchers.WithFinding(drill.Missing, key) }
	of := func(kind drill.FindingKind) matchers.FindingWanted { return matchers.WithFinding(kind, "") }
	for name, c := range map[string]struct {
		matcher types.GomegaMatcher
		actual  any
		want    bool
	}{
		"a proved loss is a loss":               {matchers.HaveLostQuorum(), lostOutage(), true},
		"a loss without survivors is a loss":    {matchers.HaveLostQuorum(), silentOutage(), true},
		"a kept quorum is no loss":              {matchers.HaveLostQuorum(), keptOutage(), false},
		"a kept quorum is kept":                 {matchers.HaveKeptQuorum(), keptOutage(), true},
		"a proved loss is not kept":             {matchers.HaveKeptQuorum(), lostOutage(), false},
		"not known to be lost is not kept":      {matchers.HaveKeptQuorum(), unknownOutage(), false},
		"intact is intact":                      {matchers.BeIntact(), intact(), true},
		"damaged is not intact":                 {matchers.BeIntact(), damaged(), false},
		"inconclusive is not intact":            {matchers.BeIntact(), inconclusive(), false},
		"no verdict is not intact":              {matchers.BeIntact(), drill.Verdict{}, false},
		"damaged is damaged":                    {matchers.BeDamaged(), damaged(), true},
		"intact is not damaged":                 {matchers.BeDamaged(), intact(), false},
		"with a finding of any key":             {matchers.BeDamaged(missing("")), damaged(), true},
		"with a finding of this key":            {matchers.BeDamaged(missing("/w01/k000002")), damaged(), true},
		"with a finding of another key":         {matchers.BeDamaged(missing("/other")), damaged(), false},
		"with a finding of another kind":        {matchers.BeDamaged(of(drill.Phantom)), damaged(), false},
		"with one of two findings":              {matchers.BeDamaged(missing(""), of(drill.Torn)), damaged(), false},
		"with both findings":                    {matchers.BeDamaged(missing(""), of(drill.Diverged)), damaged(), true},
		"the finding under another outcome":     {matchers.BeInconclusive(missing("")), damaged(), false},
		"inconclusive with what was too little": {matchers.BeInconclusive(of(drill.TooLittle)), inconclusive(), true},
	} {
		got, err := c.matcher.Match(c.actual)
		if err != nil || got != c.want {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, c.want)
		}
	}
}

func TestMatchRefusesWhatItCannotJudge(t *testing.T) {
	verdict := intact()
	for name, c := range map[string]struct {
		matcher types.GomegaMatcher
		actual  any
		want    []string
	}{
		"nil outage":           {matchers.HaveLostQuorum(), (*drill.Outage)(nil), []string{"HaveLostQuorum", "Strike", "*drill.Outage"}},
		"outage of nothing":    {matchers.HaveKeptQuorum(), &drill.Outage{}, []string{"HaveKeptQuorum", "*drill.Outage"}},
		"a number":             {matchers.HaveLostQuorum(), 3, []string{"a int: 3"}},
		"nothing":              {matchers.BeIntact(), nil, []string{"BeIntact", "drill.Verdict", "nil"}},
		"a pointer to verdict": {matchers.BeDamaged(), &verdict, []string{"BeDamaged", "verify.Verdict"}},
		"a word":               {matchers.BeInconclusive(), "intact", []string{"BeInconclusive", "a string: intact"}},
	} {
		matched, err := c.matcher.Match(c.actual)
		if matched || err == nil {
			t.Errorf("%s: got %v, %v; want an error", name, matched, err)
			continue
		}
		contains(t, name, err.Error(), c.want)
	}
}

func TestFailureMessages(t *testing.T) {
	for name, c := range map[string]struct {
		message string
		want    []string
	}{
		"lost but kept": {matchers.HaveLostQuorum().FailureMessage(keptOutage()), []string{
			"Expected the quorum to be lost.", "kill, tolerable", "victims    m1", "survivors  m2 m3",
			"the quorum is kept: m2 answered a linearizable read 12ms after",
		}},
		"kept but lost": {matchers.HaveKeptQuorum().FailureMessage(lostOutage()), []string{
			"Expected the quorum to be kept.", "victims    m1 m2", "no leader for 3.011s, 4 linearizable reads unanswered",
		}},
		"kept but nobody is left": {matchers.HaveKeptQuorum().FailureMessage(silentOutage()), []string{
			"survivors  none", "nobody is left to answer",
		}},
		"not lost but lost": {matchers.HaveLostQuorum().NegatedFailureMessage(lostOutage()), []string{
			"Expected the quorum not to be lost.",
		}},
		"not kept but kept": {matchers.HaveKeptQuorum().NegatedFailureMessage(keptOutage()), []string{
			"Expected the quorum not to be kept.",
		}},
		"intact but damaged": {matchers.BeIntact().FailureMessage(damaged()), []string{
			"Expected the verdict to be intact.", "DAMAGED up to revision 1032", "prefix     disproved: 1030 revisions",
			"findings   3", `missing, key "/w01/k000002": acknowledged at revision 7 and not there`,
			"diverged on m2: its HashKV differs", "and 1 more",
		}},
		"intact but nothing": {matchers.BeIntact().FailureMessage(drill.Verdict{}), []string{"NO VERDICT", "findings   none"}},
		"damaged without the finding": {
			matchers.BeDamaged(matchers.WithFinding(drill.Phantom, "/p"), matchers.WithFinding(drill.Missing, ""),
				matchers.WithFinding(drill.Torn, "")).FailureMessage(damaged()),
			[]string{`Expected the verdict to be damaged with the findings: phantom of key "/p", torn.`, "DAMAGED"},
		},
		"not damaged but damaged": {
			matchers.BeDamaged(matchers.WithFinding(drill.Missing, "")).NegatedFailureMessage(damaged()),
			[]string{"Expected the verdict not to be damaged with the findings: missing.", "DAMAGED"},
		},
		"not intact but intact": {matchers.BeIntact().NegatedFailureMessage(intact()), []string{
			"Expected the verdict not to be intact.", "INTACT up to revision 1032", "prefix     proved",
		}},
	} {
		contains(t, name, c.message, c.want)
	}
}

func TestFailureMessageBoundsTheFindings(t *testing.T) {
	verdict := drill.Verdict{Outcome: drill.Damaged, FindingCount: 5000}
	for range 1000 {
		verdict.Findings = append(verdict.Findings, drill.Finding{Kind: drill.Phantom, Text: "nobody wrote it"})
	}
	message := matchers.BeIntact().FailureMessage(verdict)
	if got := strings.Count(message, "nobody wrote it"); got != 20 {
		t.Errorf("got %d findings in the message, want 20", got)
	}
	contains(t, "bounded", message, []string{"findings   5000", "and 4980 more"})
}

func contains(t *testing.T, name, text string, want []string) {
	t.Helper()
	for _, part := range want {
		if !strings.Contains(text, part) {
			t.Errorf("%s: %q is not in:\n%s", name, part, text)
		}
	}
}
