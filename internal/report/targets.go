package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// Goals are what somebody demands of a recovery. A nil one is not demanded.
type Goals struct {
	RTO     *time.Duration // greater than 0
	RPO     *time.Duration // at least 0; 0 demands that nothing is lost
	MaxLost *int64         // acknowledged writes, at least 0
	// CanaryAge is how old the time may be that a backup holds under a key; greater than 0.
	CanaryAge *time.Duration
}

// The names of targets, as the command line spells them.
const (
	TargetRTO     = "rto"
	TargetRPO     = "rpo"
	TargetMaxLost = "max-lost"
	TargetCanary  = "canary-max-age"
)

// The units of targets.
const (
	unitNanoseconds = "nanoseconds"
	unitWrites      = "writes"
)

// Target is one goal, held against what the drill measured.
type Target struct {
	Name   string `json:"name"` // "rto", "rpo", "max-lost" or "canary-max-age"
	Unit   string `json:"unit"` // of Wanted and Measured: "nanoseconds" or "writes"
	Wanted int64  `json:"wanted"`
	// Measured is nil if the drill did not measure it; Unmeasured then says why.
	Measured   *int64 `json:"measured,omitempty"`
	Unmeasured string `json:"unmeasured,omitempty"`
	Met        bool   `json:"met"`
}

// Check returns an error that says which goal nobody can reach.
func (g Goals) Check() error {
	switch {
	case g.RTO != nil && *g.RTO <= 0:
		return fmt.Errorf("--rto %s: a recovery takes longer than nothing; give a time greater than 0", *g.RTO)
	case g.RPO != nil && *g.RPO < 0:
		return fmt.Errorf("--rpo %s: give 0s if nothing may be lost, or a time greater than 0", *g.RPO)
	case g.MaxLost != nil && *g.MaxLost < 0:
		return fmt.Errorf("--max-lost %d: give 0 if nothing may be lost, or a number greater than 0", *g.MaxLost)
	}
	if g.CanaryAge != nil && *g.CanaryAge <= 0 {
		return fmt.Errorf("--canary-max-age %s: every backup is older than that; give a time greater than 0", *g.CanaryAge)
	}
	return nil
}

// Hold returns the report with these goals held against it.
func (r Report) Hold(g Goals) Report {
	r.Targets = nil
	if g.RTO != nil {
		r.Targets = append(r.Targets, r.hold(Target{Name: TargetRTO, Unit: unitNanoseconds, Wanted: int64(*g.RTO)}))
	}
	if g.RPO != nil {
		r.Targets = append(r.Targets, r.hold(Target{Name: TargetRPO, Unit: unitNanoseconds, Wanted: int64(*g.RPO)}))
	}
	if g.MaxLost != nil {
		r.Targets = append(r.Targets, r.hold(Target{Name: TargetMaxLost, Unit: unitWrites, Wanted: *g.MaxLost}))
	}
	if g.CanaryAge != nil {
		r.Targets = append(r.Targets, r.hold(Target{Name: TargetCanary, Unit: unitNanoseconds, Wanted: int64(*g.CanaryAge)}))
	}
	return r
}

// HoldAgain returns the report with its own goals held against it again, for one whose verdict is new.
func (r Report) HoldAgain() Report {
	targets := slices.Clone(r.Targets)
	for i, t := range targets {
		targets[i] = r.hold(t)
	}
	r.Targets = targets
	return r
}

// hold measures one target.
func (r Report) hold(t Target) Target {
	measured, reason := r.measure(t.Name)
	t.Measured, t.Unmeasured, t.Met = nil, reason, false
	if reason == "" {
		t.Measured = &measured
		t.Met = measured <= t.Wanted
	}
	if t.Name == TargetRPO && t.Wanted == 0 && r.Verdict.Loss.Writes > 0 {
		t.Met = false // lost writes that all returned after the signal make no time, and are lost all the same
	}
	return t
}

// measure returns what the drill came to, or the reason why that is not known.
func (r Report) measure(name string) (value int64, reason string) {
	switch name {
	case TargetRTO:
		if reason := r.rtoUnknown(); reason != "" {
			return 0, reason
		}
		return int64(r.RTO.Total), ""
	case TargetRPO:
		if r.Backup != nil {
			return r.age()
		}
		return int64(r.Verdict.Loss.Window), r.lossUnknown()
	case TargetCanary:
		return r.age()
	case TargetMaxLost:
		return r.Verdict.Loss.Writes, r.lossUnknown()
	}
	return 0, "this version does not know the target " + name
}

// rtoUnknown says why there is no recovery time; empty if there is one.
func (r Report) rtoUnknown() string {
	switch {
	case r.RTO.Complete:
		return ""
	case r.Backup != nil && r.Plan == nil:
		return "nothing was restored"
	case r.Backup != nil:
		return "the restored cluster acknowledged no write"
	case r.Outage == nil:
		return "no disaster was observed"
	case !r.Outage.QuorumLost:
		return "the quorum was never lost, so there was nothing to come back from"
	}
	return "the new cluster acknowledged no write"
}

// lossUnknown says why the loss is not known; empty if it is. It is not where no source was held against the ledger.
func (r Report) lossUnknown() string {
	if r.Backup != nil {
		return "what was written after the backup is not known"
	}
	if r.Verdict.Outcome == "" || (r.Verdict.Compared.Revisions == 0 && r.Verdict.Loss.Writes == 0) {
		return "no source was held against the ledger"
	}
	return ""
}

// Result is what a drill comes to for whoever set the targets.
type Result string

// The results, from best to worst but for Unproved, which tells nothing.
const (
	Passed   Result = "passed"   // intact, and every target met
	Failed   Result = "failed"   // damaged, or intact with a target missed
	Unproved Result = "unproved" // inconclusive, or intact with a target that was not measured
)

// Result holds the verdict and the targets together. A target that was missed in a drill that proved nothing leaves it Unproved:
// neither figure can be trusted.
func (r Report) Result() Result {
	switch r.outcome() {
	case verify.Damaged:
		return Failed
	case verify.Inconclusive:
		return Unproved
	}
	result := Passed
	for _, t := range r.Targets {
		switch {
		case t.Unmeasured == "" && !t.Met:
			return Failed
		case t.Unmeasured != "":
			result = Unproved
		}
	}
	return result
}

// Result is that of the worst drill: one that failed, then one that proved nothing. No drill at all proves nothing.
func (s Summary) Result() Result {
	result := Passed
	for _, drill := range s.Drills {
		switch drill.Result() {
		case Failed:
			return Failed
		case Unproved:
			result = Unproved
		}
	}
	if len(s.Drills) == 0 {
		return Unproved
	}
	return result
}

// validateTargets tells whether the targets agree with the figures beside them.
func (r Report) validateTargets() error {
	for i, t := range r.HoldAgain().Targets {
		stored := r.Targets[i]
		same := t.Met == stored.Met && (t.Measured == nil) == (stored.Measured == nil)
		if !same || t.Measured != nil && *t.Measured != *stored.Measured {
			return fmt.Errorf("target %s (%s) does not agree with the figures: they make it %q", stored.Name, stored.text(), t.text())
		}
	}
	return nil
}

// text is the target with what became of it, for example "rto 1m0s: 5.3s, met".
func (t Target) text() string {
	text := t.Name + " " + t.wanted() + ": "
	switch {
	case t.Unmeasured != "":
		return text + "not measured, " + t.Unmeasured
	case t.Measured == nil:
		return text + "no figure"
	case t.Met:
		return text + t.measured() + ", met"
	}
	return text + t.measured() + ", MISSED"
}

// wanted is the goal as a person types it, measured the figure as a person reads it. A figure close to the goal is shown as
// finely as it takes to tell them apart.
func (t Target) wanted() string {
	if t.Unit == unitNanoseconds {
		return time.Duration(t.Wanted).String()
	}
	return fmt.Sprint(t.Wanted)
}

func (t Target) measured() string {
	switch {
	case t.Measured == nil:
		return ""
	case t.Unit != unitNanoseconds:
		return fmt.Sprint(*t.Measured)
	}
	wanted, measured := time.Duration(t.Wanted), time.Duration(*t.Measured)
	if measured != wanted && fine(measured) == fine(wanted) {
		return measured.String()
	}
	return fine(measured)
}

// targetLine is the text form's line on all targets; empty if there are none.
func (r Report) targetLine() string {
	var texts []string
	for _, t := range r.Targets {
		texts = append(texts, t.text())
	}
	if len(texts) == 0 {
		return ""
	}
	return row("targets", strings.Join(texts, "; "), "")
}

// missed names the targets that were missed.
func (r Report) missed() []string {
	var names []string
	for _, t := range r.Targets {
		if t.Unmeasured == "" && !t.Met {
			names = append(names, t.Name)
		}
	}
	return names
}
