package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// buckets is into how many parts of equal length a course divides its time, however many writes there are.
const buckets = 160

// shownLost bounds the lost writes that a page lists; lost.jsonl has them all.
const shownLost = 12

// course is what a ledger shows of a drill, in counts: its size does not depend on the number of writes.
type course struct {
	span span
	// By the time of their return.
	acknowledged, refused, unknown [buckets]int
	pending                        [buckets]int // differences: calls without an answer that begin and end here
	longest                        span         // the longest time in which nothing was acknowledged, while the load ran
	entries                        int
	restorePoint                   int64
	lost                           []ledger.Entry // the first shownLost above the restore point, by revision
	note                           string         // why the counts are not those of the whole load; empty if they are
}

// span is a stretch of time. It is empty if To is not after From.
type span struct{ From, To time.Time }

func (s span) length() time.Duration { return s.To.Sub(s.From) }
func (s span) empty() bool           { return !s.To.After(s.From) }

// at is the place of a time in the span, from 0 to 1. Times outside of it are at its ends.
func (s span) at(t time.Time) float64 {
	if s.empty() {
		return 0
	}
	return min(max(float64(t.Sub(s.From))/float64(s.length()), 0), 1)
}

// bucket is the part of the span that holds the time.
func (s span) bucket(t time.Time) int { return min(int(s.at(t)*buckets), buckets-1) }

// readCourse counts a ledger along the span, while the load ran. A ledger that cannot be read to its end is counted as far as it
// goes; the note says so, and the verdict beside it was inconclusive for the same reason.
func readCourse(r Report, along, load span, entries ledger.Stream[ledger.Entry]) *course {
	if entries == nil || along.empty() {
		return nil
	}
	c := &course{span: along, restorePoint: r.Verdict.RestorePoint}
	last := load.From
	for e, err := range entries {
		if err != nil {
			c.note = fmt.Sprintf("the ledger is shown as far as it can be read: %v", err)
			if errors.Is(err, ledger.ErrUnended) {
				c.note = "the ledger was not ended: what came after its last line is not known"
			}
			break
		}
		c.add(e)
		if e.Outcome == ledger.Acknowledged {
			c.silence(last, e.Return)
			last = later(last, e.Return)
		}
	}
	c.silence(last, load.To)
	c.sortLost()
	return c
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (c *course) add(e ledger.Entry) {
	c.entries++
	at := c.span.bucket(e.Return)
	switch e.Outcome {
	case ledger.Acknowledged:
		c.acknowledged[at]++
	case ledger.Refused:
		c.refused[at]++
	default:
		c.unknown[at]++
		c.pending[c.span.bucket(e.Call)]++
		c.pending[at]--
	}
	if e.Outcome != ledger.Acknowledged || !e.Owns || e.Revision <= c.restorePoint || c.restorePoint <= 0 {
		return
	}
	if c.lost = append(c.lost, e); len(c.lost) >= 2*shownLost {
		c.sortLost()
	}
}

// sortLost keeps the lowest revisions.
func (c *course) sortLost() {
	slices.SortFunc(c.lost, func(a, b ledger.Entry) int { return int(max(-1, min(1, a.Revision-b.Revision))) })
	c.lost = c.lost[:min(len(c.lost), shownLost)]
}

func (c *course) silence(from, to time.Time) {
	if s := (span{from, to}); !s.empty() && s.length() > c.longest.length() {
		c.longest = s
	}
}

// The states of the client availability strip.
const (
	clientsServed   = "served"   // every call that returned was acknowledged
	clientsPartly   = "partly"   // some were, others were refused or got no answer
	clientsRefused  = "refused"  // none was acknowledged, and some were refused
	clientsUnserved = "unserved" // none was acknowledged, calls got no answer
	clientsSilent   = "silent"   // no call was under way
)

// states returns the state of every bucket.
func (c *course) states() [buckets]string {
	var states [buckets]string
	pending := 0
	for i := range buckets {
		pending += c.pending[i]
		switch waiting := pending > 0 || c.unknown[i] > 0; {
		case c.acknowledged[i] > 0 && !waiting && c.refused[i] == 0:
			states[i] = clientsServed
		case c.acknowledged[i] > 0:
			states[i] = clientsPartly
		case c.refused[i] > 0:
			states[i] = clientsRefused
		case waiting:
			states[i] = clientsUnserved
		default:
			states[i] = clientsSilent
		}
	}
	return states
}

// rate draws the acknowledged writes per bucket as an SVG path in a box of buckets by 100, and returns their highest rate per
// second.
func (c *course) rate() (path string, perSecond float64) {
	highest := slices.Max(c.acknowledged[:])
	if highest == 0 {
		return "", 0
	}
	return steps(c.acknowledged[:]), float64(highest) / (c.span.length().Seconds() / buckets)
}

// steps draws counts as an area of steps, one unit wide each, in a box 100 high; what is not nothing can be seen.
func steps(counts []int) string {
	highest := max(slices.Max(counts), 1)
	var path strings.Builder
	path.WriteString("M0 100")
	for i, n := range counts {
		height := float64(n) * 100 / float64(highest)
		if n > 0 {
			height = max(height, 2)
		}
		fmt.Fprintf(&path, "V%.1fH%d", 100-height, i+1)
	}
	path.WriteString("V100Z")
	return path.String()
}
