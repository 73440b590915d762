package ledger

import (
	"encoding/json"
	"unicode/utf8"
)

// scalar is a value in a flat JSON object: text, a number, or true.
type scalar struct {
	kind   byte // 's', 'n' or 't'
	text   []byte
	number int64
}

func (s scalar) isNumber() bool { return s.kind == 'n' }
func (s scalar) isText() bool   { return s.kind == 's' }

// decodeRecord reads one line. Histories are the bulk of all evidence, so lines as writeAll writes them are read without
// reflection; anything else, escapes for example, goes to encoding/json, which also words the errors.
func decodeRecord(line []byte, r *Record) error {
	if eachField(line, r.set) {
		return nil
	}
	*r = Record{}
	return json.Unmarshal(line, r)
}

// decodePair is decodeRecord for pairs.
func decodePair(line []byte, p *Pair) error {
	if eachField(line, p.set) {
		return nil
	}
	*p = Pair{}
	return json.Unmarshal(line, p)
}

func decodeEntry(line []byte, e *Entry) error { return json.Unmarshal(line, e) }

func (r *Record) set(name string, v scalar) bool {
	switch name {
	case "r":
		r.Rev = v.number
	case "s":
		r.Sub = v.number
	case "cr":
		r.Create = v.number
	case "mr":
		r.Mod = v.number
	case "v":
		r.Version = v.number
	case "l":
		r.Lease = v.number
	case "k":
		r.Key = Key(v.text)
		return v.isText()
	case "d":
		r.Digest = string(v.text)
		return v.isText()
	case "del":
		r.Delete = true
		return v.kind == 't'
	default:
		return false
	}
	return v.isNumber()
}

func (p *Pair) set(name string, v scalar) bool {
	switch name {
	case "cr":
		p.Create = v.number
	case "mr":
		p.Mod = v.number
	case "v":
		p.Version = v.number
	case "l":
		p.Lease = v.number
	case "k":
		p.Key = Key(v.text)
		return v.isText()
	case "d":
		p.Digest = string(v.text)
		return v.isText()
	default:
		return false
	}
	return v.isNumber()
}

// eachField calls set for each field of a JSON object without spaces, escapes or nesting. It returns false, after some
// calls perhaps, if the line is anything else or set does not take a field.
func eachField(line []byte, set func(name string, v scalar) bool) bool {
	if len(line) < 2 || line[0] != '{' {
		return false
	}
	for at := 1; ; at++ {
		name, next, ok := plainText(line, at)
		if !ok || next >= len(line) || line[next] != ':' {
			return false
		}
		v, next, ok := plainScalar(line, next+1)
		if !ok || !set(string(name), v) || next >= len(line) {
			return false
		}
		at = next
		if line[at] == '}' {
			return at+1 == len(line) || (at+2 == len(line) && line[at+1] == '\n')
		}
		if line[at] != ',' {
			return false
		}
	}
}

// plainText reads a string of printable ASCII without escapes and returns where it ends.
func plainText(line []byte, at int) (text []byte, next int, ok bool) {
	if at >= len(line) || line[at] != '"' {
		return nil, at, false
	}
	for i := at + 1; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			return line[at+1 : i], i + 1, true
		case c < ' ', c == '\\', c >= utf8.RuneSelf:
			return nil, i, false
		}
	}
	return nil, len(line), false
}

// safeDigits is how many decimal digits fit an int64 whatever they are.
const safeDigits = 18

func plainScalar(line []byte, at int) (v scalar, next int, ok bool) {
	if at < len(line) && line[at] == '"' {
		v.kind = 's'
		v.text, next, ok = plainText(line, at)
		return v, next, ok
	}
	const yes = "true"
	if len(line) >= at+len(yes) && string(line[at:at+len(yes)]) == yes {
		return scalar{kind: 't'}, at + len(yes), true
	}
	v.kind = 'n'
	for next = at; next < len(line) && line[next] >= '0' && line[next] <= '9'; next++ {
		v.number = v.number*10 + int64(line[next]-'0')
	}
	digits := next - at
	leadingZero := digits > 1 && line[at] == '0' // not JSON
	return v, next, digits > 0 && digits <= safeDigits && !leadingZero
}
