package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

func ptr[T any](value T) *T { return &value }

// goals demands all that can be demanded.
func goals(rto, rpo time.Duration, maxLost int64) report.Goals {
	return report.Goals{RTO: &rto, RPO: &rpo, MaxLost: &maxLost}
}

func TestTargetsDecideTheResult(t *testing.T) {
	wide := goals(time.Minute, time.Minute, 1000)
	kept := intactDrill() // which lost nothing
	kept.Outage.QuorumLost, kept.RTO = false, report.RTO{}
	dead := damagedDrill()
	unjudged := failedDrill()
	afterSignal := lossyDrill()
	afterSignal.Verdict.Loss.Window = 0
	for name, c := range map[string]struct {
		drill report.Report
		goals report.Goals
		want  report.Result
	}{
		"no target":                            {intactDrill(), report.Goals{}, report.Passed},
		"all met":                              {intactDrill(), goals(time.Minute, 0, 0), report.Passed},
		"met to the nanosecond":                {intactDrill(), goals(5300*time.Millisecond, 0, 0), report.Passed},
		"late by a nanosecond":                 {intactDrill(), goals(5300*time.Millisecond-1, 0, 0), report.Failed},
		"a loss within the targets":            {lossyDrill(), goals(time.Minute, 90*time.Millisecond, 94), report.Passed},
		"lost one too many":                    {lossyDrill(), report.Goals{MaxLost: ptr[int64](93)}, report.Failed},
		"lost for too long":                    {lossyDrill(), report.Goals{RPO: ptr(89 * time.Millisecond)}, report.Failed},
		"lost after the signal, none allowed":  {afterSignal, report.Goals{RPO: ptr(time.Duration(0))}, report.Failed},
		"lost after the signal, some allowed":  {afterSignal, report.Goals{RPO: ptr(time.Millisecond)}, report.Passed},
		"quorum never lost":                    {kept, wide, report.Unproved},
		"quorum never lost, no recovery asked": {kept, report.Goals{MaxLost: ptr[int64](0)}, report.Passed},
		"damaged within the targets":           {dead, wide, report.Failed},
		"not judged, and too late":             {unjudged, goals(time.Nanosecond, 0, 0), report.Unproved},
	} {
		held := c.drill.Hold(c.goals)
		if got := held.Result(); got != c.want {
			t.Errorf("%s: %s, want %s: %+v", name, got, c.want, held.Targets)
		}
		if err := held.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATargetThatWasNotMeasuredSaysWhy(t *testing.T) {
	kept := intactDrill()
	kept.Outage.QuorumLost, kept.RTO = false, report.RTO{}
	stillborn := intactDrill()
	stillborn.RTO = report.NewRTO(signalAt(), steps()[:5])
	for want, drill := range map[string]report.Report{
		"rto 1m0s: not measured, the quorum was never lost":                  kept,
		"rto 1m0s: not measured, the new cluster acknowledged no write":      stillborn,
		"rto 1m0s: not measured, no disaster was observed":                   failedDrill(),
		"max-lost 5: not measured, no source was held against the ledger":    failedDrill(),
		"rpo 0s: not measured, no source was held against the ledger":        failedDrill(),
		"rto 1m0s: 5.3s, met; rpo 0s: 0.09s, MISSED; max-lost 5: 94, MISSED": lossyDrill(),
	} {
		if got := text(t, drill.Hold(goals(time.Minute, 0, 5)), report.Style{}); !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
}

func TestAMissedTargetStandsBesideTheVerdict(t *testing.T) {
	held := intactDrill().Hold(goals(5300*time.Millisecond-1, 0, 0))
	got := text(t, held, report.Style{Color: true})
	for _, want := range []string{
		" targets  rto 5.299999999s: 5.3s, MISSED; rpo 0s: 0s, met; max-lost 0: 0, met\n",
		" \x1b[31mINTACT\x1b[0m   target missed: rto; 0 acknowledged writes lost",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
	summary := report.NewSummary([]report.Report{intactDrill(), held}, time.Second, report.Left{})
	if summary.Outcome() != verify.Intact || summary.Result() != report.Failed {
		t.Errorf("outcome %s, result %s", summary.Outcome(), summary.Result())
	}
	var line strings.Builder
	if err := report.WriteSummary(&line, summary); err != nil {
		t.Fatal(err)
	}
	if want := "2 of 2 intact, 1 with a target missed in 1.0s"; !strings.Contains(line.String(), want) {
		t.Errorf("%q is not in %q", want, line.String())
	}
}

func TestTheWorstResultIsThatOfTheRun(t *testing.T) {
	missed, unproved := intactDrill().Hold(goals(1, 0, 0)), failedDrill()
	for _, c := range []struct {
		drills []report.Report
		want   report.Result
	}{
		{nil, report.Unproved},
		{[]report.Report{intactDrill(), lossyDrill()}, report.Passed},
		{[]report.Report{intactDrill(), unproved}, report.Unproved},
		{[]report.Report{unproved, missed}, report.Failed},
	} {
		if got := report.NewSummary(c.drills, 0, report.Left{}).Result(); got != c.want {
			t.Errorf("%d drills: %s, want %s", len(c.drills), got, c.want)
		}
	}
}

func TestGoalsThatNobodyCanReachAreRefused(t *testing.T) {
	for want, g := range map[string]report.Goals{
		"--rto 0s":      {RTO: ptr(time.Duration(0))},
		"--rto -1s":     {RTO: ptr(-time.Second)},
		"--rpo -1ns":    {RPO: ptr(-time.Nanosecond)},
		"--max-lost -1": {MaxLost: ptr[int64](-1)},
	} {
		if err := g.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	if err := goals(1, 0, 0).Check(); err != nil {
		t.Error(err)
	}
}

func TestATargetThatContradictsTheFiguresIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*report.Target){
		"met":        func(t *report.Target) { t.Met = true },
		"figure":     func(t *report.Target) { t.Measured = ptr[int64](1) },
		"no figure":  func(t *report.Target) { t.Measured = nil },
		"other name": func(t *report.Target) { t.Name = "mttr" },
	} {
		r := intactDrill().Hold(report.Goals{RTO: ptr(time.Second)})
		spoil(&r.Targets[0])
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), "does not agree with the figures") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestANewVerdictIsHeldAgainstTheSameGoals(t *testing.T) {
	r := lossyDrill().Hold(goals(time.Minute, 0, 94))
	r.Verdict.Loss.Writes = 95
	again := r.HoldAgain()
	if !r.Targets[2].Met || again.Targets[2].Met || *again.Targets[2].Measured != 95 {
		t.Errorf("before %+v, again %+v", r.Targets[2], again.Targets[2])
	}
}
