package serve

import (
	"strings"
	"testing"
	"time"
)

func TestBeatsAreTimesAndNothingElse(t *testing.T) {
	want := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for value, ok := range map[string]bool{
		"2026-03-01T12:00:00Z": true, "2026-03-01T13:00:00+01:00\n": true, " 1772366400 ": true, "2026-03-01T12:00:00.000Z": true,
		"1772366400000": false, "12": false, "": false, "yesterday": false, "-5": false, "2026-03-01": false, "1772366400.5": false,
		strings.Repeat("1", 100): false,
	} {
		beat := beatOf([]byte(value))
		if (beat.Fault == "") != ok || ok && !beat.At.Equal(want) {
			t.Errorf("%q: %+v", value, beat)
		}
		if len(value) > 3 && strings.Contains(beat.Fault, strings.TrimSpace(value)) {
			t.Errorf("%q is told: %s", value, beat.Fault)
		}
	}
}
