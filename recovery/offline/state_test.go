package offline

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// dress gives a server leases, users, roles and an alarm.
func dress(t *testing.T, ctx context.Context, c *clientv3.Client) {
	t.Helper()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	grant := func(id, ttl int64) {
		t.Helper()
		must(pb.NewLeaseClient(c.ActiveConnection()).LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: id, TTL: ttl}))
	}
	grant(9, 3600)
	grant(5, 600)
	grant(-3, 60)
	for _, key := range []string{"z", "a", "moved"} {
		must(c.Put(ctx, key, "v", clientv3.WithLease(5)))
	}
	must(c.Put(ctx, "moved", "v", clientv3.WithLease(9)))
	must(c.RoleAdd(ctx, "reader"))
	must(c.RoleGrantPermission(ctx, "reader", "x", "y", clientv3.PermissionType(clientv3.PermRead)))
	must(c.RoleGrantPermission(ctx, "reader", "a", "", clientv3.PermissionType(clientv3.PermReadWrite)))
	must(c.RoleAdd(ctx, "root"))
	for _, user := range []string{"root", "anna"} {
		must(c.UserAdd(ctx, user, "secret"))
	}
	must(c.UserGrantRole(ctx, "root", "root"))
	must(c.UserGrantRole(ctx, "anna", "reader"))
	must(pb.NewMaintenanceClient(c.ActiveConnection()).Alarm(ctx, &pb.AlarmRequest{
		Action: pb.AlarmRequest_ACTIVATE, MemberID: 77, Alarm: pb.AlarmType_CORRUPT,
	}))
}

func TestExtractTellsWhatThereIsBesideKeys(t *testing.T) {
	ctx, worker := recoverytest.Context(t), testWorker(t, "serve")
	server, layout := recoverytest.StartSingle(t, ctx)
	dress(t, ctx, server.Client)
	path := filepath.Join(t.TempDir(), "snapshot")
	recoverytest.SaveSnapshot(t, ctx, server.Client, path)
	source, err := Check(ctx, worker, recovery.SavedSnapshot, path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	x := Extraction{
		DigestKey: recoverytest.DigestKey(), History: filepath.Join(dir, "h"), Keyspace: filepath.Join(dir, "k"),
		Leases: filepath.Join(dir, "l"), State: filepath.Join(dir, "s"),
	}
	contents, err := Extract(ctx, worker, source, x)
	if err != nil {
		t.Fatal(err)
	}

	wantLeases := []ledger.Lease{
		{ID: -3, TTL: 60}, {ID: 5, TTL: 600, Keys: []ledger.Key{"a", "z"}}, {ID: 9, TTL: 3600, Keys: []ledger.Key{"moved"}},
	}
	leases := recoverytest.Collect(t, ledger.ReadLeases(recoverytest.Opener(x.Leases)))
	if !reflect.DeepEqual(leases, wantLeases) || contents.Leases != 3 {
		t.Errorf("leases: %+v, counted %d", leases, contents.Leases)
	}
	var state ledger.State
	text, err := os.ReadFile(x.State)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	seat := layout.Seats[0]
	want := ledger.State{
		Auth: ledger.Auth{
			Revision: state.Auth.Revision,
			Users:    []ledger.User{{Name: "anna", Roles: []string{"reader"}}, {Name: "root", Roles: []string{"root"}}},
			Roles: []ledger.Role{
				{Name: "reader", Permissions: []ledger.Permission{{Type: "READWRITE", Key: "a"}, {Type: "READ", Key: "x", End: "y"}}},
				{Name: "root"},
			},
		},
		Alarms:         []ledger.Alarm{{Member: 77, Type: "CORRUPT"}},
		Members:        []ledger.MemberSeat{{ID: layout.MemberID(seat), Name: seat.Name, PeerURLs: []string{seat.PeerURL}}},
		StorageVersion: "3.7.0", ClusterVersion: "3.7.0", Leases: 3,
	}
	if !reflect.DeepEqual(state, want) || state.Auth.Revision < 2 {
		t.Errorf("got  %+v\nwant %+v", state, want)
	}
}
