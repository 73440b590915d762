package offline

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// etcdutl returns the program of a pinned version, from this user's cache if it was built before.
func etcdutl(t *testing.T, ctx context.Context, version string) release.Binaries {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	built, err := release.Build(ctx, release.Request{Version: version, CacheDir: filepath.Join(cache, "etcd-drill")})
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// TestAProgramRestoresWhatTheLibraryRestores runs the default version's program, or the one of ETCD_DRILL_OTHER_VERSION: to
// build another takes long.
func TestAProgramRestoresWhatTheLibraryRestores(t *testing.T) {
	ctx := recoverytest.Context(t)
	program := etcdutl(t, ctx, cmp.Or(os.Getenv("ETCD_DRILL_OTHER_VERSION"), release.Default))
	b := recoverytest.MakeBackups(t, ctx, 50)
	for kind, path := range map[recovery.Kind]string{recovery.SavedSnapshot: b.Snapshot, recovery.DBCopy: b.DB} {
		t.Run(string(kind), func(t *testing.T) {
			worker := testWorker(t, "serve")
			worker.Etcdutl = program.Etcdutl
			source, err := Check(ctx, worker, kind, path)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 1), identity.FreshToken())
			if err != nil {
				t.Fatal(err)
			}
			restored, err := Restore(ctx, worker, plan, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if restored.Etcdutl != program.Version {
				t.Errorf("restored by etcdutl %q, not %s", restored.Etcdutl, program.Version)
			}
			boot(t, ctx, plan, restored.Dirs(), func(client *clientv3.Client) {
				view := recoverytest.LookAt(t, ctx, client)
				if view.Revision != b.Live.Revision || view.Hash.Hash != b.Live.Hash.Hash {
					t.Errorf("revision %d, HashKV %d; the old cluster had %d, %d",
						view.Revision, view.Hash.Hash, b.Live.Revision, b.Live.Hash.Hash)
				}
				recoverytest.SameLines(t, view.History, b.Live.History)
			})
		})
	}
	t.Run("another minor than planned", func(t *testing.T) {
		worker, scratch := testWorker(t, "serve"), t.TempDir()
		worker.Etcdutl = program.Etcdutl
		source, err := Check(ctx, worker, recovery.SavedSnapshot, b.Snapshot)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 1), identity.FreshToken(), recovery.WithVersion("3.99.0"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(ctx, worker, plan, scratch); !errors.Is(err, ErrWrongTool) {
			t.Errorf("got %v", err)
		}
		recoverytest.AssertEmpty(t, scratch)
	})
}

// TestTheEndOfAProgramIsTold has programs die that say they are an etcdutl.
func TestTheEndOfAProgramIsTold(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 5)
	source, err := Check(ctx, testWorker(t, "serve"), recovery.SavedSnapshot, b.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 2), identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	const isTool = "#!/bin/sh\nif [ \"$1\" = version ]; then echo 'etcdutl version: 3.7.3'; exit; fi\n"
	for name, c := range map[string]struct {
		script string
		died   bool
		code   int
		signal string
		says   string
	}{
		"error":        {script: isTool + "echo 'Error: data-dir is cursed' >&2; exit 1", says: "data-dir is cursed"},
		"without word": {script: isTool + "exit 1", died: true, code: 1, says: "snapshot restore"},
		"panic": {
			script: isTool + "echo 'panic: assertion failed' >&2; echo trace >&2; exit 2", died: true, code: 2, says: "assertion failed",
		},
		"bus error":  {script: isTool + "kill -BUS $$", died: true, code: -1, signal: "bus error", says: "bus error"},
		"no etcdutl": {script: "#!/bin/sh\necho hello", says: "hello"},
		"no program": {says: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			worker, scratch := testWorker(t, "serve"), t.TempDir()
			worker.Etcdutl = filepath.Join(t.TempDir(), "etcdutl")
			if c.script != "" {
				if err := os.WriteFile(worker.Etcdutl, []byte(c.script), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Restore(ctx, worker, plan, scratch)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v does not say %q", err, c.says)
			}
			var death *recovery.WorkerError
			if errors.As(err, &death) != c.died || c.died && (death.ExitCode != c.code || death.Signal != c.signal) {
				t.Errorf("got %v", err)
			}
			t.Log(err)
			recoverytest.AssertEmpty(t, scratch)
		})
	}
}
