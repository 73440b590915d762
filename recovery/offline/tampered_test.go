package offline

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/await"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// tampersWith makes this test binary one of two workers: the first changes the source, whose path stands behind this, when it
// has copied it; the second begins after that.
const tampersWith = "tampers with "

func serveTampered(path string) {
	first, err := os.OpenFile(path+".first", os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		_ = await.Until(context.Background(), await.Condition{Name: "the change", Within: 10 * time.Second}, func(context.Context) error {
			_, err := os.Stat(path + ".changed")
			return err
		})
		_ = Serve(context.Background(), os.Stdin, os.Stdout, os.Stderr)
		os.Exit(0)
	}
	_ = first.Close()
	_ = Serve(context.Background(), os.Stdin, os.Stdout, &tamperer{path: path})
	os.Exit(0)
}

// tamperer is the standard error of the first: what etcdutl logs comes when the source has been copied.
type tamperer struct{ path string }

// Write implements io.Writer.
func (w *tamperer) Write(data []byte) (int, error) {
	if bytes.Contains(data, []byte("restoring snapshot")) {
		source, err := os.ReadFile(w.path)
		if err == nil {
			source[len(source)/2] ^= 1
			err = errors.Join(os.WriteFile(w.path, source, 0o600), os.WriteFile(w.path+".changed", nil, 0o600))
		}
		if err != nil {
			panic(err)
		}
	}
	return os.Stderr.Write(data)
}

func TestASourceThatChangesDuringTheRestoreIsRefused(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 60)
	source, err := Check(ctx, testWorker(t, "serve"), recovery.SavedSnapshot, b.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	good := recoverytest.ReadAll(t, b.Snapshot)
	plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 2), identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	_, err = Restore(ctx, testWorker(t, tampersWith+b.Snapshot), plan, scratch, OneByOne())
	if !errors.Is(err, recovery.ErrSourceChanged) || !errors.Is(err, ErrMixedSources) {
		t.Errorf("got %v", err)
	}
	recoverytest.AssertEmpty(t, scratch)
	if err := os.WriteFile(b.Snapshot, good, 0o600); err != nil {
		t.Fatal(err)
	}
	checkAgain(t, plan, scratch)

	// A change after the copy was made does no harm: what is restored, for all members, is what was checked.
	if err := os.Remove(b.Snapshot + ".first"); err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(ctx, testWorker(t, tampersWith+b.Snapshot), plan, filepath.Clean(t.TempDir()))
	if err != nil || recoverytest.DigestOf(t, b.Snapshot) == source.SHA256 {
		t.Fatalf("got %+v, %v", restored, err)
	}
	first := recoverytest.ReadAll(t, filepath.Join(restored.Members[0].Dir, blob.DBFile))
	for _, member := range restored.Members {
		if member.SHA256 != source.SHA256 || !bytes.Equal(recoverytest.ReadAll(t, filepath.Join(member.Dir, blob.DBFile)), first) {
			t.Errorf("member %s comes from %s, or differs from the first", member.Name, member.SHA256)
		}
	}
}
