package recovery

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery/dataset"
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
		if err != nil || size != int64(len(model)) || !bytes.Equal(readAll(t, path), model) {
			t.Errorf("%s: %d bytes, %v; it is another than its model: %t", name, size, err, !bytes.Equal(readAll(t, path), model))
		}
	}
}

// TestTheHashSaysWhyAWorkerDied has a worker die of a source before it has come to the end of its hash.
func TestTheHashSaysWhyAWorkerDied(t *testing.T) {
	ctx := testContext(t)
	set, err := dataset.Cache{Dir: t.TempDir()}.Get(ctx, dataset.Spec{SizeBytes: 32 << 20, ValueBytes: 4000, Revisions: 1}, dataset.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	source, err := Check(ctx, testWorker(t, "serve"), SavedSnapshot, set.Path)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(source, testLayout(t, 2), identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	var death *WorkerError
	if _, err := Restore(ctx, testWorker(t, diesOfRestore), plan, scratch); !errors.As(err, &death) || death.Kind != DeathPanic {
		t.Errorf("got %v of a source that is what it was", err)
	}
	touchByte(t, set.Path, -40)
	_, err = Restore(ctx, testWorker(t, diesOfRestore), plan, scratch)
	if !errors.Is(err, ErrSourceChanged) || errors.Is(err, ErrWorkerDied) {
		t.Errorf("got %v of a source that has changed", err)
	}
	plan.Source.SHA256 = digestOf(t, set.Path)
	if _, err := Restore(ctx, testWorker(t, diesOfRestore), plan, scratch); !errors.Is(err, ErrBadHash) {
		t.Errorf("got %v of a source whose hash is wrong", err)
	}
	assertEmpty(t, scratch)
}

// diesOfRestore makes this test binary a worker that panics, where nobody can catch it, as soon as etcdutl begins.
const diesOfRestore = "dies of restore"

type dying struct{}

// Write implements io.Writer.
func (dying) Write(data []byte) (int, error) {
	if bytes.Contains(data, []byte("restoring snapshot")) {
		go panic("a page is out of order")
		select {}
	}
	return os.Stderr.Write(data)
}
