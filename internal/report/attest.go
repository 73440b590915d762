package report

import (
	"cmp"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// Attestation says in short what was drilled, by what and on what, how each part of the proof is known, and what it comes to.
type Attestation struct {
	SchemaVersion int     `json:"schemaVersion"`
	ToolVersion   string  `json:"toolVersion"`
	RunID         string  `json:"runID"`
	Title         string  `json:"title"`
	Drilled       Drilled `json:"drilled"`
	Runtime       Runtime `json:"runtime"`
	// Checks holds every claim of the verdict under its state, and what the verdict rests on besides.
	Checks  Checks         `json:"checks"`
	Targets []Target       `json:"targets,omitempty"`
	Verdict verify.Outcome `json:"verdict"`
	Result  Result         `json:"result"`
	// Failure is what ended the drill before it could be judged; empty if nothing did.
	Failure string `json:"failure,omitempty"`
}

// Drilled describes the backup that was recovered from. It is empty on a route without one.
type Drilled struct {
	Kind      string `json:"kind,omitempty"` // "snapshot" or "db"
	SHA256    string `json:"sha256,omitempty"`
	SizeBytes int64  `json:"sizeBytes,omitempty"`
	// TakenAt is when it lay on this machine, of somebody's own backup when that was changed last; zero if nobody knows. Age is how old
	// it was when the signal hit the first victim, or when the drill began; 0 if it was taken after that.
	TakenAt      time.Time     `json:"takenAt,omitzero"`
	Age          time.Duration `json:"ageNanoseconds,omitempty"`
	RestorePoint int64         `json:"restorePoint,omitempty"`
}

// Checks sorts the parts of a proof by how they are known.
type Checks struct {
	Proved    []Check `json:"proved"`
	Sampled   []Check `json:"sampled"`
	Assumed   []Check `json:"assumed"`
	LeftOut   []Check `json:"leftOut"`
	Disproved []Check `json:"disproved"`
}

// Check is one part of a proof.
type Check struct {
	Name string `json:"name"` // of the claim; "host" for what the machine made necessary
	Text string `json:"text"`
}

// Attest sums up the report; of what was drilled it knows the age, where a cluster was lost, and the restore point.
func (r Report) Attest(drilled Drilled) Attestation {
	a := Attestation{
		SchemaVersion: SchemaVersion, ToolVersion: r.ToolVersion, RunID: r.RunID, Title: r.Title, Drilled: drilled, Runtime: r.Runtime,
		Checks: r.checks(), Targets: r.Targets, Verdict: r.outcome(), Result: r.Result(), Failure: r.Failure,
	}
	if drilled.SHA256 != "" {
		a.Drilled.RestorePoint = cmp.Or(r.Verdict.RestorePoint, drilled.RestorePoint)
		if r.Outage != nil && !drilled.TakenAt.IsZero() {
			a.Drilled.Age = max(r.Outage.SignalAt.Sub(drilled.TakenAt), 0)
		}
	}
	return a
}

// hostCheck names what is no claim of the judge.
const hostCheck = "host"

func (r Report) checks() Checks {
	c := Checks{Proved: []Check{}, Sampled: []Check{}, Assumed: []Check{}, LeftOut: []Check{}, Disproved: []Check{}}
	for _, claim := range r.Verdict.Claims {
		check := Check{claim.Name, claim.Text}
		switch claim.State {
		case verify.Proved:
			c.Proved = append(c.Proved, check)
		case verify.Sampled:
			c.Sampled = append(c.Sampled, check)
		case verify.Assumed:
			c.Assumed = append(c.Assumed, check)
		case verify.Disproved:
			c.Disproved = append(c.Disproved, check)
		default: // a state of another version proves nothing here
			c.LeftOut = append(c.LeftOut, check)
		}
	}
	for _, text := range r.Assumed {
		c.Assumed = append(c.Assumed, Check{hostCheck, text})
	}
	for _, skip := range r.Skipped {
		c.LeftOut = append(c.LeftOut, Check{hostCheck, skip.Ability + ": " + skip.Reason})
	}
	return c
}
