package serve

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// A restore would fail where etcd's own verification is on and nothing is wrong, which is why the worker has one of its own.
func TestEtcdsVerificationDoesNotFindALogThatLiesApart(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 5)
	t.Setenv("ETCD_VERIFY", "all")
	layout, dir := recoverytest.Layout(t, 1), filepath.Join(t.TempDir(), "data")
	member := wire.MemberTask{Name: "m1", PeerURL: layout.Seats[0].PeerURL, DataDir: dir, WALDir: filepath.Join(dir, harness.WALName)}
	j := &job{lg: newLogger(t.Output()), stderr: t.Output()}
	err := j.restoreByLibrary(&restoration{
		task: wire.RestoreTask{InitialCluster: layout.InitialCluster(), Token: "t"}, member: member, source: b.Snapshot,
	})
	if err == nil || !strings.Contains(err.Error(), filepath.Join("member", "wal")) {
		t.Errorf("got %v", err)
	}
	if _, err := j.finish(member); err != nil {
		t.Errorf("what was made is refused: %v", err)
	}
}

func TestALogOfAnotherRestoreIsRefused(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 5)
	j := &job{lg: newLogger(t.Output()), stderr: t.Output()}
	one, three := restoredApart(t, j, b.Snapshot, 1), restoredApart(t, j, b.Snapshot, 3)
	for _, c := range []struct {
		data, log string
		fits      bool
	}{{one, one, true}, {three, three, true}, {one, three, false}, {three, one, false}} {
		_, err := j.finish(wire.MemberTask{DataDir: c.data, WALDir: filepath.Join(c.log, harness.WALName)})
		if (err == nil) != c.fits {
			t.Errorf("data %s with log %s: %v", c.data, c.log, err)
		}
	}
}

// restoredApart is the data directory of the first member of a cluster of this size, whose log lies apart in it.
func restoredApart(t *testing.T, j *job, snapshot string, size int) string {
	t.Helper()
	layout, dir := recoverytest.Layout(t, size), filepath.Join(t.TempDir(), "data")
	member := wire.MemberTask{Name: "m1", PeerURL: layout.Seats[0].PeerURL, DataDir: dir, WALDir: filepath.Join(dir, harness.WALName)}
	err := j.restoreByLibrary(&restoration{
		task: wire.RestoreTask{InitialCluster: layout.InitialCluster(), Token: "t"}, member: member, source: snapshot,
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
