package report

import (
	"strconv"
	"strings"
	"time"
)

// rtoRow is one part of the recovery as the table shows it. The times are rounded at the boundaries, so that what is shown adds up.
type rtoRow struct {
	Name     string
	From     string
	Duration string
	Share    percent
	Class    string
	X, Width percent
	After    bool // it lies after the first write and is not part of the recovery time
}

// Label and Fit are those of a stretch.
func (r rtoRow) Label() string { return r.Name }

// Fit says where there is room for the label.
func (r rtoRow) Fit() string { return fit(r.Name, r.Width) }

// millis shows a time to the millisecond.
func millis(d time.Duration) string {
	return strconv.FormatFloat(d.Round(time.Millisecond).Seconds(), 'f', 3, 64) + " s"
}

// rtoRows are the parts, in order of time, and what of the recovery time belongs to none of them, so that what is shown adds up; that is
// empty if nothing does.
func rtoRows(rto RTO) (rows []rtoRow, gap string) {
	if len(rto.Parts) == 0 {
		return nil, ""
	}
	last := rto.Parts[len(rto.Parts)-1]
	whole := last.After + last.Duration
	rest, over := rto.Total.Round(time.Millisecond), false
	for _, part := range rto.Parts {
		from, to := part.After, part.After+part.Duration
		shown := to.Round(time.Millisecond) - from.Round(time.Millisecond)
		row := rtoRow{
			Name: part.Name, Class: partClass(part.Name), From: millis(from), Duration: millis(shown),
			X: share(from, whole), Width: share(to-from, whole), After: over,
		}
		if rto.Complete && !over {
			row.Share = share(to-from, rto.Total)
			rest -= shown
		}
		rows = append(rows, row)
		over = over || part.Name == PartFirstWrite
	}
	if rto.Complete && rest != 0 {
		gap = millis(rest)
	}
	return rows, gap
}

func share(part, whole time.Duration) percent {
	return percent(100 * float64(part) / float64(max(whole, 1)))
}

// partClass is the part's class in the style sheet.
func partClass(name string) string { return "part-" + strings.ReplaceAll(name, " ", "-") }
