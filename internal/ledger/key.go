package ledger

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Key is a key of the keyspace: any bytes. In JSON it is readable text where it can be, otherwise "\x" and hexadecimal.
type Key string

const hexMark = `\x`

// MarshalText encodes the key so that UnmarshalText returns the same bytes.
func (k Key) MarshalText() ([]byte, error) {
	if utf8.ValidString(string(k)) && !strings.HasPrefix(string(k), hexMark) {
		return []byte(k), nil
	}
	return []byte(hexMark + hex.EncodeToString([]byte(k))), nil
}

// UnmarshalText reads what MarshalText wrote.
func (k *Key) UnmarshalText(text []byte) error {
	encoded, marked := strings.CutPrefix(string(text), hexMark)
	if !marked {
		*k = Key(text)
		return nil
	}
	raw, err := hex.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("read key %q: %w", text, err)
	}
	*k = Key(raw)
	return nil
}
