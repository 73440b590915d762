package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteComparison writes a table for people, with what is doubtful below it.
func WriteComparison(w io.Writer, c Comparison) error {
	var text, cells strings.Builder
	fmt.Fprintln(&cells, "benchmark\told\tnew\tchange\tp\tpairs\t")
	for _, row := range c.Rows {
		fmt.Fprintf(&cells, "%s\t%s\t%s\t%s\t%.3f\t%d\t%s\n", row.Name, seconds(row.Old), seconds(row.New), row.change(), row.P, row.Pairs,
			strings.ToUpper(string(row.Judgement)))
	}
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(table, cells.String()); err != nil {
		return err
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, row := range c.Rows {
		if row.Why != "" {
			fmt.Fprintf(&text, "%s: %s\n", row.Name, row.Why)
		}
		if row.Judgement == Worse || row.Judgement == Better {
			fmt.Fprintf(&text, "%s: %s\n", row.Name, row.phaseText())
		}
	}
	for _, note := range c.Notes {
		fmt.Fprintf(&text, "note: %s\n", note)
	}
	fmt.Fprintf(&text, "%s -> %s: %s (from %s on, at a level of %g)\n", c.Old, c.New, strings.ToUpper(string(c.Judgement())),
		strings.TrimPrefix(Percent(c.MinEffect), "+"), c.Alpha)
	_, err := io.WriteString(w, text.String())
	return err
}

// WriteComparisonMarkdown writes the same for the summary of a job.
func WriteComparisonMarkdown(w io.Writer, c Comparison) error {
	var text strings.Builder
	fmt.Fprintf(&text, "### Restore time: %s\n\n`%s` → `%s`, differences from %s on\n\n", c.Judgement(), c.Old, c.New,
		strings.TrimPrefix(Percent(c.MinEffect), "+"))
	fmt.Fprint(&text, "| benchmark | old | new | change | | |\n|---|---|---|---|---|---|\n")
	for _, row := range c.Rows {
		why := row.Why
		if row.Judgement == Worse || row.Judgement == Better {
			why = row.phaseText()
		}
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s | **%s** | %s |\n",
			row.Name, seconds(row.Old), seconds(row.New), row.change(), row.Judgement, why)
	}
	for _, note := range c.Notes {
		fmt.Fprintf(&text, "\n%s\n", note)
	}
	fmt.Fprintln(&text)
	_, err := io.WriteString(w, text.String())
	return err
}

// WriteComparisonJSON writes the same for programs.
func WriteComparisonJSON(w io.Writer, c Comparison) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(struct {
		Comparison
		Judgement Judgement `json:"judgement"`
	}{c, c.Judgement()}); err != nil {
		return fmt.Errorf("write comparison as JSON: %w", err)
	}
	return nil
}

func (r Row) change() string {
	if r.P == 0 { // nothing was computed
		return "?"
	}
	return Percent(r.Change)
}

func (r Row) phaseText() string {
	var parts []string
	for _, p := range r.Phases {
		parts = append(parts, fmt.Sprintf("%s %s -> %s", p.Phase, seconds(p.Old), seconds(p.New)))
	}
	return "most in " + strings.Join(parts, ", ")
}

// seconds writes a time of nanoseconds.
func seconds(nanoseconds float64) string {
	switch d := time.Duration(nanoseconds); {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2fs", d.Seconds())
	default:
		return fmt.Sprintf("%.0fms", float64(d)/float64(time.Millisecond))
	}
}
