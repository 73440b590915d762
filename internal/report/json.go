package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// WriteJSON writes the report as one indented JSON document. The order of fields and of map keys is fixed, so that two
// reports can be compared line by line.
func WriteJSON(w io.Writer, r Report) error { return encode(w, "report", r) }

// WriteSummaryJSON writes the summary, with the reports it covers, as one indented JSON document.
func WriteSummaryJSON(w io.Writer, s Summary) error { return encode(w, "summary", s) }

func encode(w io.Writer, what string, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write %s as JSON: %w", what, err)
	}
	return nil
}

// ErrSchema marks a report of a schema version that this program does not read.
var ErrSchema = errors.New("unknown schema version")

// Read reads what WriteJSON wrote and validates it. A report of another schema version is refused with an error wrapping
// ErrSchema; fields that this version does not know are ignored.
func Read(r io.Reader) (Report, error) {
	var out Report
	if err := json.NewDecoder(r).Decode(&out); err != nil {
		return Report{}, fmt.Errorf("read report: %w", err)
	}
	if err := out.Validate(); err != nil {
		return Report{}, fmt.Errorf("read report: %w", err)
	}
	return out, nil
}

// Validate tells whether the report can be true: that it is of this schema version, that its verdict is one that exists
// and agrees with its findings, that the parts of the recovery are in order and add up, and that the targets agree with the
// figures. It joins all contradictions.
func (r Report) Validate() error {
	if r.SchemaVersion != SchemaVersion {
		return fmt.Errorf("validate report: %w %d, this program reads %d", ErrSchema, r.SchemaVersion, SchemaVersion)
	}
	err := errors.Join(r.validateVerdict(), r.RTO.validate(), r.validateTargets())
	if err != nil {
		return fmt.Errorf("validate report: %w", err)
	}
	return nil
}

func (r Report) validateVerdict() error {
	v := r.Verdict
	switch v.Outcome {
	case verify.Intact:
		if v.FindingCount > 0 || r.Failure != "" {
			return fmt.Errorf("intact in spite of %d findings and failure %q", v.FindingCount, r.Failure)
		}
	case verify.Damaged, verify.Inconclusive:
		if v.FindingCount == 0 && r.Failure == "" {
			return fmt.Errorf("%s without a finding or a failure", v.Outcome)
		}
	case "":
		if r.Failure == "" {
			return errors.New("neither a verdict nor a failure")
		}
	default:
		return fmt.Errorf("unknown outcome %q", v.Outcome)
	}
	if v.FindingCount < len(v.Findings) {
		return fmt.Errorf("%d findings listed, %d counted", len(v.Findings), v.FindingCount)
	}
	return nil
}
