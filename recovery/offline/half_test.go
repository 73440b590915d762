package offline

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/child"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
	"github.com/etcd-drill/etcd-drill/recovery/spoil"
)

// restoreByHand runs the released etcdutl as a person would, and returns the data directory, whatever became of it.
func restoreByHand(t *testing.T, ctx context.Context, source string, layout harness.Layout, flags ...string) (string, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	args := append([]string{"snapshot", "restore", source, "--data-dir", dir, "--name", layout.Seats[0].Name,
		"--initial-cluster", layout.InitialCluster(), "--initial-cluster-token", string(layout.Token),
		"--initial-advertise-peer-urls", layout.Seats[0].PeerURL}, flags...)
	out, err := exec.CommandContext(ctx, etcdutl(t, ctx, release.Default).Etcdutl, args...).CombinedOutput()
	t.Logf("etcdutl: %v: %s", err, out)
	return dir, err
}

// makeHalf makes a directory that no restore has completed.
type makeHalf func(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout) string

func TestInspectRecognisesWhatNoMemberMayStartOn(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 200)
	for name, c := range map[string]struct {
		make  makeHalf
		want  recovery.FindingName
		boots bool
		says  string
	}{
		"a restore whose hash was wrong":     {failedRestore, recovery.FailedRestore, true, "exactly the image of a snapshot"},
		"a restore killed while it copied":   {restoreKilledInCopy, recovery.FailedRestore, true, "hash behind it (good)"},
		"a restore killed before it trimmed": {restoreKilledBeforeTrim, recovery.FailedRestore, true, "exactly the image of a snapshot"},
		"a restore killed before its log":    {restoreKilledBeforeLog, recovery.CutRestore, true, "lost its members"},
		"a restore killed before its last step": {restoreKilledBeforeIndex, recovery.UnfinishedRestore, true,
			"counts by that of the old one"},
		"a restore with its log elsewhere":          {logElsewhere, recovery.MissingLog, true, "directory of its own"},
		"a restore with its log beside it":          {logInDirectory, recovery.MissingLog, true, "there is one in"},
		"a database that was put there":             {databasePutThere, recovery.BareDatabase, true, "without a restore"},
		"a database beside the log of another":      {foreignDatabase, recovery.ForeignDatabase, true, "comes from elsewhere"},
		"a database of later beside an earlier log": {laterDatabase, recovery.AheadOfLog, true, "claims to have applied more"},
		"a log without its database":                {databaseGone, recovery.NoDatabase, false, "refuses to start"},
	} {
		t.Run(name, func(t *testing.T) {
			layout := recoverytest.Layout(t, 1)
			layout.Token = identity.FreshToken()
			dir := c.make(t, ctx, b, layout)
			before := lookAll(t, dir)
			got, err := Inspect(ctx, testWorker(t, "serve"), dir)
			if err != nil {
				t.Fatal(err)
			}
			f, told := got.Find(c.want)
			if !told || f.Weight != recovery.Poisoned || f.Boots != c.boots || !strings.Contains(f.Text, c.says) || f.Do == "" || got.Sound() {
				t.Errorf("findings %+v, want %s", got.Findings, c.want)
			}
			if f.Boots && !strings.Contains(f.Text, "etcd would start on this directory and must not") {
				t.Errorf("it does not say so: %s", f.Text)
			}
			for _, other := range got.Findings {
				if other.Name != c.want && other.Weight != recovery.Notice {
					t.Errorf("it also says %+v", other)
				}
			}
			sameFiles(t, lookAll(t, dir), before)
		})
	}
}

func failedRestore(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout) string {
	dir, err := restoreByHand(t, ctx, recoverytest.Spoiled(t, b.Snapshot, spoil.Of(spoil.ValueByte)), layout)
	if err == nil {
		t.Fatal("etcdutl restored a source with a wrong hash")
	}
	return dir
}

func restoreKilledInCopy(t *testing.T, _ context.Context, b recoverytest.Backups, _ harness.Layout) string {
	dir := t.TempDir()
	recoverytest.PutFile(t, b.Snapshot, filepath.Join(dir, blob.DBFile))
	return dir
}

// Restore opens the database three times: to remove the old members, to add the new ones and make the log, and to reset the
// index.
func restoreKilledBeforeTrim(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout) string {
	return restoreKilledAt(t, ctx, b, layout, deathMark{"Opening db file", 1})
}

func restoreKilledBeforeLog(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout) string {
	return restoreKilledAt(t, ctx, b, layout, deathMark{"added member", 1})
}

func restoreKilledBeforeIndex(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout) string {
	return restoreKilledAt(t, ctx, b, layout, deathMark{"Opening db file", 3})
}

// deathMark is where a restore is killed: at the nth line of its log that begins so.
type deathMark struct {
	Line  string
	Count int
}

// doomed is a restore that is killed; a worker of this kind is given it as JSON.
type doomed struct {
	Mark   deathMark
	Config snapshot.RestoreConfig
}

// killMidway does a restore of the etcdutl library and kills its own process at the mark.
func killMidway(lg *zap.Logger, d doomed) error {
	left := d.Mark.Count
	return snapshot.NewV3(lg.WithOptions(zap.Hooks(func(entry zapcore.Entry) error {
		if strings.HasPrefix(entry.Message, d.Mark.Line) {
			if left--; left == 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
		return nil
	}))).Restore(d.Config)
}

func restoreKilledAt(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout, mark deathMark) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	task, err := json.Marshal(doomed{Mark: mark, Config: snapshot.RestoreConfig{
		SnapshotPath: b.Snapshot, Name: layout.Seats[0].Name, OutputDataDir: dir, PeerURLs: []string{layout.Seats[0].PeerURL},
		InitialCluster: layout.InitialCluster(), InitialClusterToken: string(layout.Token),
	}})
	if err != nil {
		t.Fatal(err)
	}
	worker := testWorker(t, "killed midway")
	cmd := exec.CommandContext(ctx, worker.Path)
	cmd.Env, cmd.Stdin, cmd.Stderr = append(os.Environ(), worker.Env...), bytes.NewReader(task), t.Output()
	err = cmd.Run()
	if cmd.ProcessState == nil || child.DeathSignal(cmd.ProcessState) != "killed" {
		t.Fatalf("the restore was not killed: %v", err)
	}
	return dir
}

func logElsewhere(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout) string {
	elsewhere := filepath.Join(t.TempDir(), "wal")
	dir, err := restoreByHand(t, ctx, b.Snapshot, layout, "--wal-dir", elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Inspect(ctx, testWorker(t, "serve"), dir, WithWALDir(elsewhere))
	if err != nil || !whole.Sound() || whole.Log == nil || whole.Log.ClusterID != layout.ClusterID() || !whole.Log.Bootstrap {
		t.Errorf("with its log the directory is %+v, %v", whole, err)
	}
	return dir
}

func logInDirectory(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout) string {
	dir := completeRestore(t, ctx, b, layout)
	if err := os.Rename(filepath.Join(dir, "member", "wal"), filepath.Join(dir, "wal")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func databasePutThere(t *testing.T, ctx context.Context, _ recoverytest.Backups, layout harness.Layout) string {
	allocating := func(c *recoverytest.ServerConfig) { c.UnsafeNoFsync = false }
	server := recoverytest.StartWith(t, t.TempDir(), layout.Seats[0], layout.InitialCluster(), allocating)
	server.AwaitReady(t, ctx)
	server.Stop()
	dir := t.TempDir()
	recoverytest.PutFile(t, filepath.Join(server.Dir, blob.DBFile), filepath.Join(dir, blob.DBFile))
	return dir
}

func completeRestore(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout) string {
	dir, err := restoreByHand(t, ctx, b.Snapshot, layout)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func foreignDatabase(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout) string {
	other := layout
	other.Token = identity.FreshToken()
	dir := completeRestore(t, ctx, b, layout)
	recoverytest.PutFile(t, filepath.Join(completeRestore(t, ctx, b, other), blob.DBFile), filepath.Join(dir, blob.DBFile))
	return dir
}

func laterDatabase(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout) string {
	dir := completeRestore(t, ctx, b, layout)
	early := t.TempDir()
	run := func() {
		server := recoverytest.Start(t, dir, layout.Seats[0], layout.InitialCluster())
		server.AwaitReady(t, ctx)
		if _, err := server.Client.Put(ctx, "later", "x"); err != nil {
			t.Fatal(err)
		}
		server.Stop()
	}
	run()
	if err := os.CopyFS(filepath.Join(early, "data"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	run()
	recoverytest.PutFile(t, filepath.Join(dir, blob.DBFile), filepath.Join(early, "data", blob.DBFile))
	return filepath.Join(early, "data")
}

func databaseGone(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout) string {
	dir := completeRestore(t, ctx, b, layout)
	if err := os.Remove(filepath.Join(dir, blob.DBFile)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// lookAll sees everything below a directory, itself included.
func lookAll(t *testing.T, dir string) map[string]seen {
	t.Helper()
	all := map[string]seen{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			all[path] = look(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sameFiles(t *testing.T, got, want map[string]seen) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("it was %+v, it is %+v", want, got)
	}
}
