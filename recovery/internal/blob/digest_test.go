package blob

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

func TestTrailingHashDoesNotDependOnThePieces(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 64)
	sum := recoverytest.DigestBytes(content)
	file := append(bytes.Clone(content), sum...)
	for _, piece := range []int{1, 7, 31, 32, 33, 500, len(file)} {
		body := NewTrailingHash()
		for chunk := range slices.Chunk(file, piece) {
			if _, err := body.Write(chunk); err != nil {
				t.Fatal(err)
			}
		}
		if fault, why := body.Fault(int64(len(file))); fault != nil {
			t.Errorf("pieces of %d: %v %s", piece, fault, why)
		}
		if whole := hex.EncodeToString(recoverytest.DigestBytes(file)); body.Whole() != whole {
			t.Errorf("pieces of %d: the digest of all is %s, not %s", piece, body.Whole(), whole)
		}
	}
}
