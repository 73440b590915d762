package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// Comparison sets side by side what several ways back from one and the same disaster cost.
type Comparison struct {
	SchemaVersion int                `json:"schemaVersion"`
	ToolVersion   string             `json:"toolVersion"`
	RunID         string             `json:"runID"`
	Seed          uint64             `json:"seed,string"`
	Title         string             `json:"title"` // the disaster in one line
	Folder        string             `json:"folder"`
	Runtime       Runtime            `json:"runtime"`
	OldCluster    identity.ClusterID `json:"oldCluster,omitempty"`
	Outage        *verify.Outage     `json:"outage,omitempty"`
	Ways          []Way              `json:"ways"`
	// Recommended names the way that costs least; empty if none came back intact. Why says it in a sentence.
	Recommended string `json:"recommended,omitempty"`
	Why         string `json:"why"`
	// Failure is the error that ended the comparison early; empty if there was none.
	Failure string `json:"failure,omitempty"`
}

// Way is one way back and what came of it.
type Way struct {
	Name  string `json:"name"`  // unique in the comparison
	Route string `json:"route"` // as --route takes it
	Text  string `json:"text"`
	// Closed says why this disaster leaves the way closed; empty if it was tried.
	Closed  string         `json:"closed,omitempty"`
	Verdict verify.Verdict `json:"verdict"`
	// FirstWrite is 0 where writes never stopped. Otherwise it is the time from the decision to the first acknowledged write,
	// fetching the source included; Agreed that to the
	// moment when all members showed it. Neither contains human time, nor the detection of the disaster.
	FirstWrite time.Duration      `json:"firstWriteNanoseconds"`
	Agreed     time.Duration      `json:"agreedNanoseconds"`
	Cluster    identity.ClusterID `json:"cluster,omitempty"` // as the members reported it
	Kept       bool               `json:"kept"`              // the cluster ID is the old one
	Failure    string             `json:"failure,omitempty"`
	Commands   []string           `json:"commands,omitempty"`
}

// Back tells whether the way led to a cluster that was proved intact.
func (w Way) Back() bool {
	return w.Closed == "" && w.Failure == "" && w.Verdict.Outcome == verify.Intact
}

// Recommend chooses the way back that loses the fewest acknowledged writes, then brings the fewest deleted keys back, then
// has all members agree soonest. It fills in Recommended and Why.
func (c *Comparison) Recommend() {
	back := slices.DeleteFunc(slices.Clone(c.Ways), func(w Way) bool { return !w.Back() })
	if len(back) == 0 {
		c.Recommended, c.Why = "", "no way back was proved intact"
		return
	}
	slices.SortStableFunc(back, func(a, b Way) int { return compareCost(a, b) })
	best := back[0]
	c.Recommended = best.Name
	c.Why = fmt.Sprintf("it loses %s", lostText(best))
	if len(back) > 1 {
		next := back[1]
		c.Why += fmt.Sprintf("; the next best, %s, loses %s", next.Name, lostText(next))
		if next.Verdict.Loss.Writes == best.Verdict.Loss.Writes {
			c.Why += fmt.Sprintf(" and takes %s instead of %s until all agree", seconds(next.Agreed), seconds(best.Agreed))
		}
	}
	if best.Kept {
		c.Why += "; it keeps the cluster ID, so make sure that no removed or outdated member comes back"
	}
}

func compareCost(a, b Way) int {
	for _, difference := range []int64{
		a.Verdict.Loss.Writes - b.Verdict.Loss.Writes,
		a.Verdict.Loss.Resurrected - b.Verdict.Loss.Resurrected,
		int64(a.Agreed - b.Agreed),
	} {
		if difference != 0 {
			return int(max(-1, min(1, difference)))
		}
	}
	return 0
}

func lostText(w Way) string {
	if w.Verdict.Loss.Writes == 0 {
		return "no acknowledged write"
	}
	return fmt.Sprintf("%d acknowledged writes", w.Verdict.Loss.Writes)
}

// Outcome is intact if every way that is open was proved intact, otherwise the worst that was seen.
func (c Comparison) Outcome() verify.Outcome {
	outcome, tried := verify.Intact, 0
	for _, w := range c.Ways {
		switch {
		case w.Closed != "":
			continue
		case w.Verdict.Outcome == verify.Damaged:
			return verify.Damaged
		case !w.Back():
			outcome = verify.Inconclusive
		}
		tried++
	}
	if tried == 0 || c.Failure != "" {
		return verify.Inconclusive
	}
	return outcome
}

// WriteComparisonJSON writes the comparison as one JSON document.
func WriteComparisonJSON(w io.Writer, c Comparison) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(c)
}

// WriteComparison writes the comparison as a table for people.
func WriteComparison(w io.Writer, c Comparison) error {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	rows := []string{"WAY\tVERDICT\tLOST\tRESURRECTED\tFIRST WRITE\tALL AGREE\tCLUSTER ID\tREVISION"}
	for _, way := range c.Ways {
		if way.Closed == "" {
			rows = append(rows, strings.Join(way.cells(), "\t"))
		}
	}
	_, err := io.WriteString(table, strings.Join(rows, "\n")+"\n")
	if err := errors.Join(err, table.Flush()); err != nil {
		return err
	}
	for _, way := range c.Ways {
		if way.Closed != "" {
			fmt.Fprintf(&text, "closed: %s: %s\n", way.Name, way.Closed)
		}
		if way.Failure != "" {
			fmt.Fprintf(&text, "failed: %s: %s\n", way.Name, way.Failure)
		}
	}
	if c.Recommended != "" {
		fmt.Fprintf(&text, "recommended: %s: %s\n", c.Recommended, c.Why)
	} else {
		fmt.Fprintf(&text, "recommended: nothing: %s\n", c.Why)
	}
	_, err = io.WriteString(w, text.String())
	return err
}

func (w Way) cells() []string {
	if w.Verdict.Outcome == "" {
		return []string{w.Name, "none", "not known", "", "", "", "", ""}
	}
	id, revision := "new "+w.Cluster.String(), "goes on"
	if w.Kept {
		id = "kept"
	}
	if back := w.Verdict.Loss.Revisions; back > 0 {
		revision = fmt.Sprintf("back by %d", back)
	}
	first := "never off"
	if w.FirstWrite > 0 {
		first = seconds(w.FirstWrite)
	}
	return []string{
		w.Name, string(w.Verdict.Outcome), fmt.Sprintf("%d writes", w.Verdict.Loss.Writes),
		fmt.Sprintf("%d keys", w.Verdict.Loss.Resurrected), first, seconds(w.Agreed), id, revision,
	}
}
