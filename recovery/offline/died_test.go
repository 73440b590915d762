package offline

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/dataset"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// TestTheHashSaysWhyAWorkerDied has a worker die of a source before it has come to the end of its hash.
func TestTheHashSaysWhyAWorkerDied(t *testing.T) {
	ctx := recoverytest.Context(t)
	set, err := dataset.Cache{Dir: t.TempDir()}.Get(ctx, dataset.Spec{SizeBytes: 32 << 20, ValueBytes: 4000, Revisions: 1}, dataset.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	source, err := Check(ctx, testWorker(t, "serve"), recovery.SavedSnapshot, set.Path)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 2), identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	var death *recovery.WorkerError
	if _, err := Restore(ctx, testWorker(t, diesOfRestore), plan, scratch); !errors.As(err, &death) || death.Kind != recovery.DeathPanic {
		t.Errorf("got %v of a source that is what it was", err)
	}
	recoverytest.TouchByte(t, set.Path, -40)
	_, err = Restore(ctx, testWorker(t, diesOfRestore), plan, scratch)
	if !errors.Is(err, recovery.ErrSourceChanged) || errors.Is(err, recovery.ErrWorkerDied) {
		t.Errorf("got %v of a source that has changed", err)
	}
	plan.Source.SHA256 = recoverytest.DigestOf(t, set.Path)
	if _, err := Restore(ctx, testWorker(t, diesOfRestore), plan, scratch); !errors.Is(err, recovery.ErrBadHash) {
		t.Errorf("got %v of a source whose hash is wrong", err)
	}
	recoverytest.AssertEmpty(t, scratch)
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
