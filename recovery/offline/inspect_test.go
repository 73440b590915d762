package offline

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
	"github.com/etcd-drill/etcd-drill/recovery/spoil"
)

// burden gives a cluster all that survives a restore beside its keys: leases, an alarm, users and roles, authentication.
func burden(t *testing.T, ctx context.Context, client *clientv3.Client, member identity.MemberID) {
	t.Helper()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	short, err := client.Grant(ctx, 600)
	must(short, err)
	must(client.Put(ctx, "leased", "x", clientv3.WithLease(short.ID)))
	must(client.RoleAdd(ctx, "root"))
	must(client.RoleAdd(ctx, "reader"))
	must(client.UserAdd(ctx, "root", "secret of the root user"))
	must(client.UserGrantRole(ctx, "root", "root"))
	alarms := etcdserverpb.NewMaintenanceClient(client.ActiveConnection())
	must(alarms.Alarm(ctx, &etcdserverpb.AlarmRequest{
		Action: etcdserverpb.AlarmRequest_ACTIVATE, MemberID: uint64(member), Alarm: etcdserverpb.AlarmType_NOSPACE,
	}))
	must(client.AuthEnable(ctx))
}

func TestInspectTellsWhatTheServerKnew(t *testing.T) {
	ctx := recoverytest.Context(t)
	server, layout := recoverytest.StartSingle(t, ctx)
	recoverytest.Fill(t, ctx, server.Client, 200)
	live, member := recoverytest.LookAt(t, ctx, server.Client), layout.MemberID(layout.Seats[0])
	burden(t, ctx, server.Client, member)
	status, err := server.Client.Status(ctx, server.Client.Endpoints()[0])
	if err == nil || status != nil {
		t.Error("authentication is not on")
	}
	server.Stop()
	dbCopy := filepath.Join(t.TempDir(), "copy.db")
	recoverytest.PutFile(t, filepath.Join(server.Dir, blob.DBFile), dbCopy)
	source, err := Check(ctx, testWorker(t, "serve"), recovery.DBCopy, dbCopy)
	if err != nil || !source.AuthEnabled || source.ClusterVersion != "3.7.0" || source.StorageVersion != "3.7.0" ||
		!slices.Equal(source.Alarms, []recovery.AlarmRecord{{Type: "NOSPACE", Member: member}}) ||
		!slices.Equal(source.MemberIDs, []identity.MemberID{member}) {
		t.Errorf("Check says %+v, %v", source, err)
	}
	alone := t.TempDir()
	if err := os.Link(dbCopy, filepath.Join(alone, "db")); err != nil {
		t.Fatal(err)
	}
	for path, form := range map[string]recovery.Form{
		dbCopy: recovery.FormDB, alone: recovery.FormDB, server.Dir: recovery.FormDirectory, filepath.Join(server.Dir,
			"member"): recovery.FormDirectory,
	} {
		worker := testWorker(t, "serve")
		got, err := Inspect(ctx, worker, path)
		if err != nil {
			t.Fatal(err)
		}
		if got.Form != form || !got.Sound() || got.Database == nil || got.Database.Content == nil {
			t.Fatalf("%s: %+v", path, got)
		}
		expectContent(t, got.Database.Content, live, layout)
		if _, told := got.Find(recovery.RaisedAlarm); !told {
			t.Errorf("nothing is said of the alarm: %+v", got.Findings)
		}
		if text, err := json.Marshal(got); err != nil || strings.Contains(string(text), "secret") || strings.Contains(string(text), "key/0") {
			t.Errorf("%v, or it tells keys or values: %s", err, text)
		}
		if form == recovery.FormDirectory {
			expectWholeLog(t, got, layout)
		}
		recoverytest.AssertEmpty(t, worker.Scratch)
	}
}

// expectContent wants what the server showed before it was burdened, and the burden.
func expectContent(t *testing.T, c *recovery.Content, live recoverytest.View, layout harness.Layout) {
	t.Helper()
	seat := layout.Seats[0]
	member := layout.MemberID(seat)
	if c.RestorePoint != live.Revision+1 || c.FinishedCompaction != live.Compacted || c.ScheduledCompaction != live.Compacted {
		t.Errorf("restore point %d, compacted %d of %d; the server had %d and %d",
			c.RestorePoint, c.FinishedCompaction, c.ScheduledCompaction, live.Revision+1, live.Compacted)
	}
	if c.Keys != int64(len(live.Keyspace))+1 || c.Records < c.Keys {
		t.Errorf("%d keys in %d records, the server showed %d", c.Keys, c.Records, len(live.Keyspace))
	}
	leased := int64(1)
	for _, pair := range live.Keyspace {
		if pair.Lease != 0 {
			leased++
		}
	}
	if want := (recovery.LeaseFacts{Count: 2, MinTTL: 600, MaxTTL: 3600, Keys: leased}); c.Leases != want {
		t.Errorf("leases %+v, want %+v", c.Leases, want)
	}
	if !c.Auth.Enabled || c.Auth.Users != 1 || c.Auth.Roles != 2 || c.Auth.Revision == 0 {
		t.Errorf("auth %+v", c.Auth)
	}
	if want := (recovery.AlarmRecord{Type: "NOSPACE", Member: member}); len(c.Alarms) != 1 || c.Alarms[0] != want {
		t.Errorf("alarms %+v, want %+v", c.Alarms, want)
	}
	if len(c.Members) != 1 || c.Members[0].ID != member || c.Members[0].Name != seat.Name ||
		c.Members[0].PeerURLs[0] != seat.PeerURL || c.Members[0].Learner || len(c.Removed) > 0 {
		t.Errorf("members %+v, removed %v; want %s at %s", c.Members, c.Removed, member, seat.PeerURL)
	}
	if c.StorageVersion != "3.7.0" || c.ClusterVersion != "3.7.0" || c.DowngradeTo != "" {
		t.Errorf("storage %q, cluster %q, downgrade %q", c.StorageVersion, c.ClusterVersion, c.DowngradeTo)
	}
}

// expectWholeLog wants the log of a member that stopped in peace: the backend has applied all of it.
func expectWholeLog(t *testing.T, got recovery.Inspection, layout harness.Layout) {
	t.Helper()
	log, c := got.Log, got.Database.Content
	if log == nil || log.ClusterID != layout.ClusterID() || log.MemberID != layout.MemberID(layout.Seats[0]) || log.Segments != 1 {
		t.Fatalf("log %+v, want member %s of %s", log, layout.MemberID(layout.Seats[0]), layout.ClusterID())
	}
	if log.First != 1 || log.Last != c.ConsistentIndex || log.Commit < log.Last-1 || log.Term != c.Term || log.Bootstrap {
		t.Errorf("log %+v, the backend is at index %d of term %d", log, c.ConsistentIndex, c.Term)
	}
	if log.Behind != (recovery.Behind{}) {
		t.Errorf("%+v behind a backend that was flushed", log.Behind)
	}
}

// A copy of the database alone costs what the log has beyond it, and the log says how much.
func TestInspectCountsWhatOnlyTheLogHolds(t *testing.T) {
	ctx := recoverytest.Context(t)
	layout := recoverytest.Layout(t, 1)
	server := recoverytest.StartWith(t, t.TempDir(), layout.Seats[0], layout.InitialCluster(), func(s *recoverytest.ServerConfig) {
		s.BackendBatchInterval, s.BackendBatchLimit = time.Hour, 1_000_000
	})
	server.AwaitReady(t, ctx)
	for range 40 {
		if _, err := server.Client.Put(ctx, "counted", "x"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Inspect(ctx, testWorker(t, "serve"), server.Dir) // it runs on, as a killed one has left it
	if err != nil {
		t.Fatal(err)
	}
	if got.Log == nil || got.Log.Behind.Writes != 40 || got.Log.Behind.Entries < 40 || got.Log.Behind.Committed < 39 {
		t.Errorf("log %+v, want 40 writes that the backend does not hold", got.Log)
	}
	if use, told := got.Find(recovery.InUse); !told || use.Weight != recovery.Doubtful {
		t.Errorf("nothing is said of the server that runs on it: %+v", got.Findings)
	}
}

func TestInspectNamesEveryDamage(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 300)
	for kind, good := range map[recovery.Kind]string{recovery.SavedSnapshot: b.Snapshot, recovery.DBCopy: b.DB} {
		for _, damage := range damages() {
			t.Run(string(kind)+"/"+damage.variant, func(t *testing.T) {
				worker := testWorker(t, "serve")
				path := recoverytest.Spoiled(t, good, spoil.Of(damage.variant))
				before := look(t, path)
				got, err := Inspect(ctx, worker, path)
				if err != nil {
					t.Fatal(err)
				}
				want := damage.database
				switch {
				case kind == recovery.SavedSnapshot && got.Form == recovery.FormSnapshot:
					want = damage.snapshot
				case kind == recovery.SavedSnapshot && errors.Is(damage.snapshot, recovery.ErrNoHash) && len(recoverytest.ReadAll(t,
					path))%4096 == 0 && got.Sound():
					want = nil // only its hash is missing, which is told
					if _, told := got.Find(recovery.LostHash); !told {
						t.Errorf("findings %+v, want %s", got.Findings, recovery.LostHash)
					}
				}
				if want == nil && !got.Sound() || want != nil && !found(got, want) {
					t.Errorf("form %s, findings %+v; want %v", got.Form, got.Findings, want)
				}
				if got.Database.SHA256 != recoverytest.DigestOf(t, path) || got.Database.SizeBytes != before.size {
					t.Errorf("%+v, the file has %d bytes", got.Database, before.size)
				}
				if after := look(t, path); after != before {
					t.Errorf("it was %+v, it is %+v", before, after)
				}
				recoverytest.AssertEmpty(t, worker.Scratch)
			})
		}
	}
}

// found tells whether the inspection names the fault. Of a snapshot that lost its hash, nobody can tell that it was one.
func found(got recovery.Inspection, want error) bool {
	f, told := got.Find(recovery.FindingName(recovery.FaultName(want)))
	return told && f.Weight == recovery.Damaged || errors.Is(want, recovery.ErrNoHash) && got.Database.Hash == recovery.HashNone
}

// seen is what must not change of an inspected file.
type seen struct {
	size     int64
	modified time.Time
	sha256   string
	mode     fs.FileMode
}

func look(t *testing.T, path string) seen {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	s := seen{size: info.Size(), modified: info.ModTime(), mode: info.Mode()}
	if info.Mode().IsRegular() {
		s.sha256 = recoverytest.DigestOf(t, path)
	}
	return s
}

func TestKeysOfLeasesThatAreGoneAreCounted(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 60)
	db, err := bolt.Open(b.DB, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket(schema.Lease.Name()) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	leased := int64(0)
	for _, pair := range b.Live.Keyspace {
		if pair.Lease != 0 {
			leased++
		}
	}
	got, err := Inspect(ctx, testWorker(t, "serve"), b.DB)
	if err != nil || got.Database.Content == nil {
		t.Fatal(err, got)
	}
	if want := (recovery.LeaseFacts{LostKeys: leased}); got.Database.Content.Leases != want || leased == 0 {
		t.Errorf("leases %+v, want %+v", got.Database.Content.Leases, want)
	}
	if _, told := got.Find(recovery.LostLeases); !told {
		t.Errorf("nothing is said of them: %+v", got.Findings)
	}
}

func TestAWorkerThatDiesOfADatabaseIsAFinding(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 300)
	path := recoverytest.Spoiled(t, b.DB, spoil.Of(spoil.KeyOffTheFile))
	got, err := Inspect(ctx, testWorker(t, "panic"), path)
	if err != nil {
		t.Fatal(err)
	}
	if f, told := got.Find("bad-structure"); !told || got.Sound() || !strings.Contains(f.Text, "ended the process") {
		t.Errorf("findings %+v", got.Findings)
	}
	if got.Database.SHA256 != recoverytest.DigestOf(t, path) {
		t.Errorf("%+v", got.Database)
	}
}

func TestInspectCannotReadWhatIsNotEtcds(t *testing.T) {
	worker := testWorker(t, "serve")
	for _, path := range []string{filepath.Join(t.TempDir(), "missing"), t.TempDir(), os.DevNull} {
		_, err := Inspect(recoverytest.Context(t), worker, path)
		if !errors.Is(err, recovery.ErrUnreadable) || recovery.ProvedBad(err) {
			t.Errorf("%s: got %v, want ErrUnreadable", path, err)
		}
	}
	if _, err := Inspect(recoverytest.Context(t), testWorker(t, "killed"), readable(t)); !errors.Is(err, recovery.ErrWorkerDied) ||
		recovery.ProvedBad(err) {
		t.Errorf("got %v from a worker that was killed", err)
	}
	recoverytest.AssertEmpty(t, worker.Scratch)
}

func readable(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "any")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
