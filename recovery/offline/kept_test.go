package offline

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// keptPlan checks a snapshot, keeps the copy, and plans two members.
func keptPlan(t *testing.T, worker Worker, path string) (plan recovery.Plan, kept string) {
	t.Helper()
	kept = filepath.Join(worker.Scratch, "kept")
	source, err := Check(recoverytest.Context(t), worker, recovery.SavedSnapshot, path, KeepCopy(kept))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(kept); err != nil || info.Mode() != 0o600 || recoverytest.DigestOf(t, kept) != source.SHA256 {
		t.Fatalf("the copy that was kept: %v, %v", info, err)
	}
	plan, err = recovery.NewPlan(source, recoverytest.Layout(t, 2), identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	return plan, kept
}

func TestACopyThatWasKeptIsRestored(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 100)
	worker := testWorker(t, "serve")
	plan, kept := keptPlan(t, worker, b.Snapshot)
	plain, err := Restore(ctx, worker, plan, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(b.Snapshot); err != nil { // nobody needs it any more
		t.Fatal(err)
	}
	restored, err := Restore(ctx, worker, plan, t.TempDir(), FromCopy(kept))
	if err != nil {
		t.Fatal(err)
	}
	recoverytest.AssertEmpty(t, worker.Scratch)
	for i, member := range restored.Members {
		db := filepath.Join("member", "snap", "db")
		got, want := recoverytest.DigestOf(t, filepath.Join(member.Dir, db)), recoverytest.DigestOf(t, filepath.Join(plain.Members[i].Dir, db))
		if got != want || member.SHA256 != plan.Source.SHA256 {
			t.Errorf("%s: its database has digest %s, restored from the source %s; source %s", member.Name, got, want, member.SHA256)
		}
	}
}

func TestACopyThatWasKeptAndChangedIsRefused(t *testing.T) {
	b := recoverytest.MakeBackups(t, recoverytest.Context(t), 100)
	worker, scratch := testWorker(t, "serve"), t.TempDir()
	plan, kept := keptPlan(t, worker, b.Snapshot)
	recoverytest.TouchByte(t, kept, -100)
	if _, err := Restore(recoverytest.Context(t), worker, plan, scratch, FromCopy(kept)); !errors.Is(err, recovery.ErrSourceChanged) {
		t.Errorf("got %v, want ErrSourceChanged", err)
	}
	recoverytest.AssertEmpty(t, scratch)
	recoverytest.AssertEmpty(t, worker.Scratch)
	if _, err := Restore(recoverytest.Context(t), worker, plan, scratch, FromCopy(kept)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a copy that is gone: %v", err)
	}
}

func TestACopyThatWasKeptIsNotRestoredOneByOne(t *testing.T) {
	b := recoverytest.MakeBackups(t, recoverytest.Context(t), 10)
	worker, scratch := testWorker(t, "serve"), t.TempDir()
	plan, kept := keptPlan(t, worker, b.Snapshot)
	_, err := Restore(recoverytest.Context(t), worker, plan, scratch, FromCopy(kept), OneByOne())
	if err == nil || !strings.Contains(err.Error(), "one by one") {
		t.Errorf("got %v", err)
	}
	recoverytest.AssertEmpty(t, scratch)
	if recoverytest.DigestOf(t, kept) != plan.Source.SHA256 {
		t.Error("the copy was touched")
	}
}

func TestNoCopyIsKeptWhereSomethingLies(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 10)
	worker, kept := testWorker(t, "serve"), filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(kept, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(ctx, worker, recovery.SavedSnapshot, b.Snapshot, KeepCopy(kept)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want ErrExist", err)
	}
	if string(recoverytest.ReadAll(t, kept)) != "mine" {
		t.Error("it was written over")
	}
	recoverytest.TouchByte(t, b.Snapshot, -100)
	if _, err := Check(ctx, worker, recovery.SavedSnapshot, b.Snapshot, KeepCopy(kept+"2")); !errors.Is(err, recovery.ErrBadHash) {
		t.Errorf("got %v, want ErrBadHash", err)
	}
	if recoverytest.Exists(kept + "2") {
		t.Error("the copy of a damaged source was kept")
	}
	recoverytest.AssertEmpty(t, worker.Scratch)
}
