package report

import (
	"fmt"
	"strings"
	"time"
)

// count is a number with its noun.
func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// seconds shows a time as coarsely as a person reads it: "3.1s", "28s", "1m52s".
func seconds(d time.Duration) string {
	switch {
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d.Round(time.Second) < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	default:
		return d.Round(time.Second).String()
	}
}

// tenths shows a time in seconds without the unit and without a leading zero: ".1", "12.0".
func tenths(d time.Duration) string {
	return strings.TrimPrefix(fmt.Sprintf("%.1f", d.Seconds()), "0")
}

// fine shows a time that may be very short; what is not nothing never reads as nothing.
func fine(d time.Duration) string {
	switch {
	case d <= 0:
		return "0s"
	case d < time.Millisecond:
		return "<1ms"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Second:
		return fmt.Sprintf("%.2fs", d.Seconds())
	default:
		return seconds(d)
	}
}
