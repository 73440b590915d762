package recovery

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
)

// A restore would fail where etcd's own verification is on and nothing is wrong, which is why the worker has one of its own.
func TestEtcdsVerificationDoesNotFindALogThatLiesApart(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 5)
	t.Setenv("ETCD_VERIFY", "all")
	layout, dir := testLayout(t, 1), filepath.Join(t.TempDir(), "data")
	member := memberTask{Name: "m1", PeerURL: layout.Seats[0].PeerURL, DataDir: dir, WALDir: filepath.Join(dir, harness.WALName)}
	j := &job{lg: newLogger(t.Output()), stderr: t.Output()}
	err := j.restoreByLibrary(&restoration{
		task: restoreTask{InitialCluster: layout.InitialCluster(), Token: "t"}, member: member, source: b.snapshot,
	})
	if err == nil || !strings.Contains(err.Error(), filepath.Join("member", "wal")) {
		t.Errorf("got %v", err)
	}
	if _, err := j.finish(member); err != nil {
		t.Errorf("what was made is refused: %v", err)
	}
}

func TestALogOfAnotherRestoreIsRefused(t *testing.T) {
	ctx := testContext(t)
	b := makeBackups(t, ctx, 5)
	j := &job{lg: newLogger(t.Output()), stderr: t.Output()}
	one, three := restoredApart(t, j, b.snapshot, 1), restoredApart(t, j, b.snapshot, 3)
	for _, c := range []struct {
		data, log string
		fits      bool
	}{{one, one, true}, {three, three, true}, {one, three, false}, {three, one, false}} {
		_, err := j.finish(memberTask{DataDir: c.data, WALDir: filepath.Join(c.log, harness.WALName)})
		if (err == nil) != c.fits {
			t.Errorf("data %s with log %s: %v", c.data, c.log, err)
		}
	}
}

// restoredApart is the data directory of the first member of a cluster of this size, whose log lies apart in it.
func restoredApart(t *testing.T, j *job, snapshot string, size int) string {
	t.Helper()
	layout, dir := testLayout(t, size), filepath.Join(t.TempDir(), "data")
	member := memberTask{Name: "m1", PeerURL: layout.Seats[0].PeerURL, DataDir: dir, WALDir: filepath.Join(dir, harness.WALName)}
	err := j.restoreByLibrary(&restoration{
		task: restoreTask{InitialCluster: layout.InitialCluster(), Token: "t"}, member: member, source: snapshot,
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
