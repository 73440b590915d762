package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// axis is a stretch of revisions with what the source held and what was lost.
type axis struct {
	Caption string
	Parts   []stretch
	Ticks   []tick
}

// revisionAxes shows all revisions, and those around the restore point once more where the loss would be too small to see. They
// are nil where the restore point or the loss is not known.
func revisionAxes(r Report) []axis {
	restore := r.Verdict.RestorePoint
	if restore <= 0 || r.Backup != nil { // what was written after somebody's own backup is not known
		return nil
	}
	highest := max(restore+r.Verdict.Loss.Revisions, restore)
	held := "in the source"
	if !r.fromSource() {
		held = "kept"
	}
	axes := []axis{newAxis("all revisions", held, revisions{1, restore, highest})}
	lost := highest - restore
	if lost == 0 {
		return axes
	}
	if lost > restore/5 {
		return axes
	}
	return append(axes, newAxis("around the restore point", held, revisions{max(restore-lost, 1), restore, highest}))
}

// revisions are those that an axis shows.
type revisions struct{ from, restore, highest int64 }

func newAxis(caption, held string, s revisions) axis {
	from, restore, highest := s.from, s.restore, s.highest
	at := func(revision int64) percent {
		return percent(100 * float64(revision-from) / float64(max(highest-from, 1)))
	}
	a := axis{Caption: caption}
	a.Parts = append(a.Parts, stretch{
		Width: max(at(restore), smallest), Class: "kept", Label: held,
		Title: fmt.Sprintf("revisions %d to %d are %s", from, restore, held),
	})
	a.Ticks = append(a.Ticks, tick{X: 0, Text: strconv.FormatInt(from, 10)},
		tick{X: at(restore), Anchor: "middle", Text: fmt.Sprintf("R = %d", restore)})
	if highest > restore {
		x := min(at(restore), 100-smallest)
		a.Parts = append(a.Parts, stretch{
			X: x, Width: max(100-x, smallest), Class: "lost", Label: "lost",
			Title: fmt.Sprintf("revisions %d to %d are not", restore+1, highest),
		})
		a.Ticks = append(a.Ticks, tick{X: 100, Text: strconv.FormatInt(highest, 10)})
	}
	a.Ticks = apart(anchored(a.Ticks))
	return a
}

// apart drops the first or the last mark where it would touch the one of the restore point.
func apart(ticks []tick) []tick {
	const tooClose = 22
	restore := ticks[1]
	var out []tick
	for i, mark := range ticks {
		distance := max(mark.X-restore.X, restore.X-mark.X)
		if i == 1 || distance >= tooClose {
			out = append(out, mark)
		}
	}
	return out
}

// lostRow is one lost write in the table of a page.
type lostRow struct {
	Revision int64
	Writer   string // worker and sequence, as the ledger has them
	Op       string
	Keys     string
	Returned string // from the signal
}

func lostRows(r Report, c *course) []lostRow {
	if c == nil {
		return nil
	}
	var rows []lostRow
	for _, e := range c.lost {
		row := lostRow{Revision: e.Revision, Writer: fmt.Sprintf("%d/%d", e.Worker, e.Seq), Op: string(e.Op), Keys: keysOf(e)}
		if r.Outage != nil {
			row.Returned = axisText(e.Return.Sub(r.Outage.SignalAt).Round(time.Millisecond))
		}
		rows = append(rows, row)
	}
	return rows
}

// keysOf names the keys of a write, a deleted one with a minus.
func keysOf(e ledger.Entry) string {
	var keys []string
	for i, change := range e.Changes {
		if i == shownKeys {
			keys = append(keys, fmt.Sprintf("and %d more", len(e.Changes)-i))
			break
		}
		key := showKey(change.Key)
		if change.Delete {
			key = "−" + key
		}
		keys = append(keys, key)
	}
	return strings.Join(keys, " ")
}

// shownKeyBytes bounds what is shown of a key; etcd takes keys of more than a megabyte.
const shownKeyBytes = 200

// showKey quotes a key, so that neither control characters nor what changes the direction of text can hide anything.
func showKey(key ledger.Key) string {
	if len(key) > shownKeyBytes {
		return fmt.Sprintf("%s… (%d bytes)", strconv.Quote(string(key[:shownKeyBytes])), len(key))
	}
	return strconv.Quote(string(key))
}

// bumpText says where a bumped cluster begins; empty if the revision was not bumped.
func (r Report) bumpText() string {
	if r.Spec.BumpRevision == 0 || r.Verdict.RestorePoint == 0 {
		return ""
	}
	return fmt.Sprintf("The new cluster begins at revision %d, %d beyond the source, so that no client sees revisions go back.",
		r.Verdict.RestorePoint+int64(r.Spec.BumpRevision), r.Spec.BumpRevision)
}
