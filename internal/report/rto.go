package report

import (
	"errors"
	"fmt"
	"time"
)

// The parts of a recovery, in the order in which they happen. All but the last lie between the signal that hit the first
// victim and the first acknowledged write.
const (
	PartDetect     = "detect"
	PartFetch      = "fetch source"
	PartCheck      = "check"
	PartStop       = "stop survivors"
	PartRestore    = "restore"
	PartStart      = "start"
	PartElect      = "elect"
	PartFirstRead  = "first read"
	PartFirstWrite = "first write"
	PartAgree      = "all members agree"
)

// RTO tells how long the recovery took. It contains no human time: nobody was paged, nobody looked for the runbook.
type RTO struct {
	// SignalAt is when the signal hit the first victim; zero if there was no disaster.
	SignalAt time.Time `json:"signalAt,omitzero"`
	// Complete is set if the new cluster acknowledged a write; Total is then the time from SignalAt to that write.
	Complete bool          `json:"complete"`
	Total    time.Duration `json:"totalNanoseconds"`
	// Gap is what of Total belongs to no part. The parts up to the first write and Gap add up to Total.
	Gap   time.Duration `json:"gapNanoseconds"`
	Parts []Part        `json:"parts"`
}

// Part is one step of the recovery. After is counted from the signal, so that a clock that is set during the drill cannot
// move it.
type Part struct {
	Name     string        `json:"name"`
	After    time.Duration `json:"afterNanoseconds"`
	Duration time.Duration `json:"durationNanoseconds"`
}

// Step is one step of the recovery as the event log holds it.
type Step struct {
	Name     string
	From, To time.Time
}

// NewRTO adds up the steps of a recovery that began with the signal at signalAt. Steps are in order of time and do not
// overlap (Report.Validate tells). Without PartFirstWrite the recovery is incomplete and has no total.
func NewRTO(signalAt time.Time, steps []Step) RTO {
	parts := make([]Part, 0, len(steps))
	for _, s := range steps {
		parts = append(parts, Part{Name: s.Name, After: s.From.Sub(signalAt), Duration: s.To.Sub(s.From)})
	}
	return addUp(signalAt, parts)
}

func addUp(signalAt time.Time, parts []Part) RTO {
	rto := RTO{SignalAt: signalAt, Parts: parts}
	explained := time.Duration(0)
	for _, part := range parts {
		explained += part.Duration
		if part.Name == PartFirstWrite {
			rto.Complete = true
			rto.Total = part.After + part.Duration
			rto.Gap = rto.Total - explained
			break
		}
	}
	return rto
}

// part finds a part by name.
func (r RTO) part(name string) (Part, bool) {
	for _, p := range r.Parts {
		if p.Name == name {
			return p, true
		}
	}
	return Part{}, false
}

// validate tells whether the parts follow one another and the totals are theirs.
func (r RTO) validate() error {
	if len(r.Parts) > 0 && r.SignalAt.IsZero() {
		return errors.New("recovery without the signal it is measured from")
	}
	previous, end := "signal", time.Duration(0)
	for _, part := range r.Parts {
		if part.Duration < 0 || part.After < end {
			return fmt.Errorf("recovery part %q does not follow %q", part.Name, previous)
		}
		previous, end = part.Name, part.After+part.Duration
	}
	want := addUp(r.SignalAt, r.Parts)
	if want.Complete != r.Complete || want.Total != r.Total || want.Gap != r.Gap {
		return fmt.Errorf("recovery of %s with a gap of %s does not add up: its parts give %s and %s",
			r.Total, r.Gap, want.Total, want.Gap)
	}
	return nil
}
