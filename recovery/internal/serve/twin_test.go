package serve

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

func TestATwinBecomesItsModelWhateverItWas(t *testing.T) {
	block := bytes.Repeat([]byte("etcd"), compareBytes/4)
	model := bytes.Join([][]byte{block, block, make([]byte, compareBytes), block[:1000]}, nil)
	changed := bytes.Clone(model)
	changed[compareBytes+7]++
	for name, before := range map[string][]byte{
		"nothing": {}, "the same": model, "changed": changed, "its first block": block, "its beginning": model[:len(model)-10],
		"without its end": model[:2*compareBytes], "longer": append(bytes.Clone(model), block...), "zeros": make([]byte, len(model)),
	} {
		dir := t.TempDir()
		path, from := filepath.Join(dir, "twin"), filepath.Join(dir, "model")
		if err := errors.Join(os.WriteFile(path, before, 0o600), os.WriteFile(from, model, 0o600)); err != nil {
			t.Fatal(err)
		}
		size, err := becomeTwin(t.Context(), path, from)
		if err != nil || size != int64(len(model)) || !bytes.Equal(recoverytest.ReadAll(t, path), model) {
			t.Errorf("%s: %d bytes, %v; it is another than its model: %t", name, size, err, !bytes.Equal(recoverytest.ReadAll(t, path), model))
		}
	}
}
