package ledger

import (
	"encoding/json"
	"strconv"
)

// appendPair appends the line of a pair, without its line feed, as encoding/json writes it. Keyspaces and histories are the bulk of
// all evidence, so what needs no escape is written without reflection.
func appendPair(line []byte, p Pair) ([]byte, error) {
	if !isPlain(string(p.Key)) || !isPlain(p.Digest) {
		return appendJSON(line, p)
	}
	line = appendText(append(line, `{"k":`...), string(p.Key))
	line = appendText(append(line, `,"d":`...), p.Digest)
	line = strconv.AppendInt(append(line, `,"cr":`...), p.Create, 10)
	line = strconv.AppendInt(append(line, `,"mr":`...), p.Mod, 10)
	line = strconv.AppendInt(append(line, `,"v":`...), p.Version, 10)
	line = appendNumber(line, `,"l":`, p.Lease)
	return append(line, '}'), nil
}

// appendRecord is appendPair for records.
func appendRecord(line []byte, r Record) ([]byte, error) {
	if !isPlain(string(r.Key)) || !isPlain(r.Digest) {
		return appendJSON(line, r)
	}
	line = strconv.AppendInt(append(line, `{"r":`...), r.Rev, 10)
	line = appendNumber(line, `,"s":`, r.Sub)
	line = appendText(append(line, `,"k":`...), string(r.Key))
	if r.Delete {
		line = append(line, `,"del":true`...)
	}
	if r.Digest != "" {
		line = appendText(append(line, `,"d":`...), r.Digest)
	}
	line = appendNumber(line, `,"cr":`, r.Create)
	line = appendNumber(line, `,"mr":`, r.Mod)
	line = appendNumber(line, `,"v":`, r.Version)
	line = appendNumber(line, `,"l":`, r.Lease)
	return append(line, '}'), nil
}

func appendJSON[T any](line []byte, value T) ([]byte, error) {
	text, err := json.Marshal(value)
	return append(line, text...), err
}

// appendOf returns what writes lines of this type.
func appendOf[T any]() func(line []byte, value T) ([]byte, error) {
	var write any
	switch any(*new(T)).(type) {
	case Pair:
		write = appendPair
	case Record:
		write = appendRecord
	default:
		return appendJSON[T]
	}
	return write.(func([]byte, T) ([]byte, error))
}

// appendNumber leaves a zero out.
func appendNumber(line []byte, name string, n int64) []byte {
	if n == 0 {
		return line
	}
	return strconv.AppendInt(append(line, name...), n, 10)
}

func appendText(line []byte, text string) []byte {
	return append(append(append(line, '"'), text...), '"')
}

// isPlain tells whether encoding/json writes a text as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}
