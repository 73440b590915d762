package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// Summary covers all drills of one run.
type Summary struct {
	SchemaVersion int           `json:"schemaVersion"`
	Elapsed       time.Duration `json:"elapsedNanoseconds"` // of the whole run
	Left          Left          `json:"left"`
	Drills        []Report      `json:"drills"`
}

// Left tells what the run left behind after cleaning up.
type Left struct {
	// Names holds what is still there. It means something only if Unchecked is empty.
	Names []string `json:"names"`
	// Unchecked says why it is not known what was left; empty if somebody looked.
	Unchecked string `json:"unchecked,omitempty"`
}

// NewSummary covers these drills.
func NewSummary(drills []Report, elapsed time.Duration, left Left) Summary {
	return Summary{SchemaVersion: SchemaVersion, Elapsed: elapsed, Left: left, Drills: drills}
}

// Count returns how many drills had this outcome. A drill that was not judged counts as inconclusive.
func (s Summary) Count(outcome verify.Outcome) int {
	n := 0
	for _, drill := range s.Drills {
		if drill.outcome() == outcome {
			n++
		}
	}
	return n
}

// missing counts the drills that missed a target.
func (s Summary) missing() int {
	n := 0
	for _, drill := range s.Drills {
		if len(drill.missed()) > 0 {
			n++
		}
	}
	return n
}

// Outcome is the worst of all drills: damaged, then inconclusive, then intact. No drill at all is inconclusive.
func (s Summary) Outcome() verify.Outcome {
	switch {
	case s.Count(verify.Damaged) > 0:
		return verify.Damaged
	case len(s.Drills) == 0 || s.Count(verify.Intact) < len(s.Drills):
		return verify.Inconclusive
	default:
		return verify.Intact
	}
}

// WriteSummary writes the last line of a run: how many drills ended how, how long it took, what was left, where to go on.
func WriteSummary(w io.Writer, s Summary) error {
	text := fmt.Sprintf("%d of %d intact", s.Count(verify.Intact), len(s.Drills))
	for _, outcome := range []verify.Outcome{verify.Damaged, verify.Inconclusive} {
		if n := s.Count(outcome); n > 0 {
			text += fmt.Sprintf(", %d %s", n, outcome)
		}
	}
	if n := s.missing(); n > 0 {
		text += fmt.Sprintf(", %d with a target missed", n)
	}
	text += " in " + seconds(s.Elapsed) + "; " + s.Left.text() + ". Others: etcd-drill run --help"
	return writeLines(w, []string{printable(text)})
}

func (l Left) text() string {
	switch {
	case l.Unchecked != "":
		return "what is left is not known: " + l.Unchecked
	case len(l.Names) == 0:
		return "nothing left behind"
	default:
		return fmt.Sprintf("%d left (%s), remove with etcd-drill clean", len(l.Names), strings.Join(l.Names, " "))
	}
}
