package intake

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/offlinetest"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
	"github.com/etcd-drill/etcd-drill/recovery/spoil"
)

func manifestOf(t *testing.T, path string) Manifest {
	t.Helper()
	worker := offlinetest.Worker(t)
	received, err := Receive(recoverytest.Context(t), worker, Offer{Path: path, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	m, err := MakeManifest(recoverytest.Context(t), worker, received)
	if err != nil {
		t.Fatal(err)
	}
	recoverytest.AssertEmpty(t, worker.Scratch)
	return m
}

func storedManifest(t *testing.T, m Manifest) string {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "manifest.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAManifestKnowsItsBackupAgain(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 120)
	m, err := ReadManifest(storedManifest(t, manifestOf(t, b.Snapshot)))
	if err != nil {
		t.Fatal(err)
	}
	if m.RestorePoint != b.Live.Revision || m.HashKV != b.Live.Hash.Hash || m.Keys != int64(len(b.Live.Keyspace)) || m.Leases != 1 {
		t.Errorf("got %+v", m)
	}
	again := manifestOf(t, b.Snapshot)
	source, contents := offlinetest.SourceAndContents(t, b.Snapshot, recovery.SavedSnapshot)
	if got := m.Differences(source, &contents); len(got) > 0 || again.KeyNames != m.KeyNames {
		t.Errorf("differs from itself: %q", got)
	}
	source, contents = offlinetest.SourceAndContents(t, b.DB, recovery.DBCopy)
	got := m.Differences(source, &contents)
	for _, what := range []string{"SHA-256", "kind", "size"} {
		if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, what+" ") }) {
			t.Errorf("%s is not in %q", what, got)
		}
	}
	if slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "HashKV") || strings.HasPrefix(s, "names of keys") }) {
		t.Errorf("the same content in another file: %q", got)
	}
	text, err := json.Marshal(m)
	if err != nil || strings.Contains(string(text), "key/") || strings.Contains(string(text), "binary") {
		t.Errorf("%v, or it tells of keys: %s", err, text)
	}
}

func TestAFlippedValueInADBCopyIsCaughtByTheManifest(t *testing.T) {
	b := recoverytest.MakeBackups(t, recoverytest.Context(t), 120)
	m := manifestOf(t, b.DB)
	source, contents := offlinetest.SourceAndContents(t, recoverytest.Spoiled(t, b.DB, spoil.Of(spoil.ValueByte)),
		recovery.DBCopy) // nothing else notices it
	if got := m.Differences(source, nil); len(got) != 1 || !strings.HasPrefix(got[0], "SHA-256") {
		t.Errorf("got %q", got)
	}
	if got := m.Differences(source, &contents); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "HashKV") }) {
		t.Errorf("the hash of its content is the same: %q", got)
	}
}

func TestEveryFieldOfAManifestIsCompared(t *testing.T) {
	source, contents := offlinetest.SourceAndContents(t, recoverytest.Kubernetes, recovery.SavedSnapshot)
	good := ManifestOf(source, contents)
	if got := good.Differences(source, &contents); len(got) > 0 {
		t.Fatal(got)
	}
	for what, change := range map[string]func(m *Manifest){
		"SHA-256": func(m *Manifest) { m.SHA256 = "x" }, "kind": func(m *Manifest) { m.Kind = recovery.DBCopy },
		"size": func(m *Manifest) { m.SizeBytes++ }, "restore point": func(m *Manifest) { m.RestorePoint++ },
		"compaction point": func(m *Manifest) { m.Compacted++ }, "keys": func(m *Manifest) { m.Keys++ },
		"records": func(m *Manifest) { m.Records++ }, "storage version": func(m *Manifest) { m.StorageVersion = "3.5" },
		"leases": func(m *Manifest) { m.Leases++ }, "names of keys": func(m *Manifest) { m.KeyNames = "x" },
		"objects of Kubernetes": func(m *Manifest) { m.Kubernetes = nil }, "HashKV": func(m *Manifest) { m.HashKV++ },
	} {
		m := good
		change(&m)
		if got := m.Differences(source, &contents); len(got) != 1 || !strings.HasPrefix(got[0], what) {
			t.Errorf("%s: %q", what, got)
		}
	}
}

func TestWhatIsNoManifestIsNotRead(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "text": "backup.db", "another document": `{"schemaVersion": 1}`,
		"newer":       `{"schemaVersion": 2, "sha256": "a", "restorePoint": 5}`,
		"other types": `{"schemaVersion": "one"}`,
	} {
		path := filepath.Join(t.TempDir(), "m")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadManifest(path); !errors.Is(err, ErrNoManifest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadManifest(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
