package offline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

func apart(member string) string { return "/wal/" + member }

// restoreApart restores a cluster of this size whose members keep their logs apart.
func restoreApart(t *testing.T, ctx context.Context, worker Worker, snapshot string, size int) Restored {
	t.Helper()
	source, err := Check(ctx, worker, recovery.SavedSnapshot, snapshot)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := recovery.NewPlan(source, recoverytest.Layout(t, size), identity.FreshToken(), recovery.WithSeparateWAL(apart))
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	restored, err := Restore(ctx, worker, plan, scratch)
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(scratch); err != nil || len(entries) != size {
		t.Errorf("scratch holds %v, %v", entries, err)
	}
	return restored
}

func TestARestoredMemberKeepsItsLogApart(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 50)
	for name, program := range map[string]string{"library": "", "program": etcdutl(t, ctx, release.Default).Etcdutl} {
		t.Run(name, func(t *testing.T) {
			worker := testWorker(t, "serve")
			worker.Etcdutl, worker.Env = program, append(worker.Env, "ETCD_VERIFY=all") // as whoever calls may have set it
			restored := restoreApart(t, ctx, worker, b.Snapshot, 1)
			dir := restored.Dirs()["m1"]
			logs, err := filepath.Glob(filepath.Join(dir, harness.WALName, "*.wal"))
			if err != nil || len(logs) == 0 || recoverytest.Exists(filepath.Join(dir, "member", "wal")) {
				t.Errorf("logs apart: %v, %v; with the data: %t", logs, err, recoverytest.Exists(filepath.Join(dir, "member", "wal")))
			}
			if err := Vet(ctx, worker, restored); err != nil {
				t.Error(err)
			}
			unknowing := restored
			unknowing.Members = []RestoredMember{restored.Members[0]}
			unknowing.Members[0].WALDir = ""
			if err := Vet(ctx, worker, unknowing); !errors.Is(err, ErrHalfRestored) {
				t.Errorf("where nobody says that the log lies apart: %v", err)
			}
			boot(t, ctx, restored.Plan, restored.Dirs(), func(client *clientv3.Client) {
				if view := recoverytest.LookAt(t, ctx, client); view.Hash.Hash != b.Live.Hash.Hash {
					t.Errorf("HashKV is %d; the old cluster had %d", view.Hash.Hash, b.Live.Hash.Hash)
				}
			})
		})
	}
}
