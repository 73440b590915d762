package ledger

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// digestBytes is how much of the HMAC is kept: 128 bits are beyond any chance of two values of one drill meeting.
const digestBytes = 16

// Digest returns the keyed digest under which evidence speaks of a value: the first 16 bytes of HMAC-SHA256 in lower-case
// hexadecimal. It is keyed because small secrets can be guessed from bare digests; digests made with different keys cannot
// be compared.
func Digest(key, value []byte) string { return Digester(key)(value) }

// Digester returns Digest under this key, for one goroutine that makes many.
func Digester(key []byte) func(value []byte) string {
	mac := hmac.New(sha256.New, key)
	sum, text := make([]byte, 0, sha256.Size), make([]byte, hex.EncodedLen(digestBytes))
	return func(value []byte) string {
		mac.Reset()
		mac.Write(value) // never fails, see hash.Hash
		sum = mac.Sum(sum[:0])
		hex.Encode(text, sum[:digestBytes])
		return string(text)
	}
}
