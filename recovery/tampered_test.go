package recovery

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
	ctx := testContext(t)
	b := makeBackups(t, ctx, 60)
	source, err := Check(ctx, testWorker(t, "serve"), SavedSnapshot, b.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	good := readAll(t, b.snapshot)
	plan, err := NewPlan(source, testLayout(t, 2), identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	_, err = Restore(ctx, testWorker(t, tampersWith+b.snapshot), plan, scratch, OneByOne())
	if !errors.Is(err, ErrSourceChanged) || !errors.Is(err, ErrMixedSources) {
		t.Errorf("got %v", err)
	}
	assertEmpty(t, scratch)
	if err := os.WriteFile(b.snapshot, good, 0o600); err != nil {
		t.Fatal(err)
	}
	checkAgain(t, plan, scratch)

	// A change after the copy was made does no harm: what is restored, for all members, is what was checked.
	if err := os.Remove(b.snapshot + ".first"); err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(ctx, testWorker(t, tampersWith+b.snapshot), plan, filepath.Clean(t.TempDir()))
	if err != nil || digestOf(t, b.snapshot) == source.SHA256 {
		t.Fatalf("got %+v, %v", restored, err)
	}
	first := readAll(t, filepath.Join(restored.Members[0].Dir, dbFile))
	for _, member := range restored.Members {
		if member.SHA256 != source.SHA256 || !bytes.Equal(readAll(t, filepath.Join(member.Dir, dbFile)), first) {
			t.Errorf("member %s comes from %s, or differs from the first", member.Name, member.SHA256)
		}
	}
}
