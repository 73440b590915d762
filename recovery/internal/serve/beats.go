package serve

import (
	"strconv"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// absentBeat is for a key that is not there.
func absentBeat() *recovery.Beat { return &recovery.Beat{Fault: "the backup does not hold it"} }

// Seconds since 1970 that can be meant: from 2001 on, and before numbers that are milliseconds.
const earliestBeat, latestBeat = 1e9, 1e11

// beatOf reads a time in RFC 3339 or in seconds since 1970.
func beatOf(value []byte) *recovery.Beat {
	const longest = 64
	if len(value) > longest {
		return &recovery.Beat{Fault: "its value is too long for a time"}
	}
	text := strings.TrimSpace(string(value))
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return &recovery.Beat{At: at.UTC()}
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds >= earliestBeat && seconds < latestBeat {
		return &recovery.Beat{At: time.Unix(seconds, 0).UTC()}
	}
	return &recovery.Beat{Fault: "its value is neither a time in RFC 3339 nor a number of seconds since 1970"}
}
