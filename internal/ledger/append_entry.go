package ledger

import (
	"strconv"
	"time"
)

// appendEntry is appendPair for entries: a load waits for its ledger at every write.
func appendEntry(line []byte, e Entry) ([]byte, error) {
	if !isPlain(string(e.Op)) || !isPlain(string(e.Outcome)) || !isPlain(e.Reason) || !isPlainTime(e.Call) || !isPlainTime(e.Return) {
		return appendJSON(line, e)
	}
	start := len(line)
	line = strconv.AppendInt(append(line, `{"w":`...), int64(e.Worker), 10)
	line = strconv.AppendInt(append(line, `,"s":`...), e.Seq, 10)
	line = appendText(append(line, `,"op":`...), string(e.Op))
	for i, c := range e.Changes {
		if !isPlain(string(c.Key)) || !isPlain(c.Digest) {
			return appendJSON(line[:start], e)
		}
		if i == 0 {
			line = append(line, `,"c":[`...)
		} else {
			line = append(line, ',')
		}
		line = appendChange(line, c)
	}
	if len(e.Changes) > 0 {
		line = append(line, ']')
	}
	line = appendNumber(line, `,"lease":`, e.Lease)
	line = appendNumber(line, `,"ttl":`, e.TTLSeconds)
	line = append(e.Call.AppendFormat(append(line, `,"call":"`...), time.RFC3339Nano), '"')
	line = append(e.Return.AppendFormat(append(line, `,"ret":"`...), time.RFC3339Nano), '"')
	line = appendText(append(line, `,"out":`...), string(e.Outcome))
	line = appendNumber(line, `,"rev":`, e.Revision)
	line = appendFlag(line, `,"own":true`, e.Owns)
	if e.Member != 0 {
		line = appendText(append(line, `,"m":`...), e.Member.String())
	}
	if e.Cluster != 0 {
		line = appendText(append(line, `,"cl":`...), e.Cluster.String())
	}
	if e.Reason != "" {
		line = appendText(append(line, `,"why":`...), e.Reason)
	}
	return append(line, '}'), nil
}

func appendChange(line []byte, c Change) []byte {
	line = appendText(append(line, `{"k":`...), string(c.Key))
	line = appendFlag(line, `,"del":true`, c.Delete)
	if c.Digest != "" {
		line = appendText(append(line, `,"d":`...), c.Digest)
	}
	line = appendNumber(line, `,"l":`, c.Lease)
	line = appendFlag(line, `,"void":true`, c.Void)
	return append(line, '}')
}

func appendFlag(line []byte, text string, set bool) []byte {
	if !set {
		return line
	}
	return append(line, text...)
}

// isPlainTime tells whether encoding/json writes a time as it is: in UTC, of a year with four digits.
func isPlainTime(t time.Time) bool {
	return t.Location() == time.UTC && t.Year() >= 0 && t.Year() <= 9999
}
