package load

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

func TestAMemberTellsWhatItHoldsBesideKeys(t *testing.T) {
	ctx, m := testContext(t), startMember(t)
	c := m.dial(t)
	must := func(_ any, err error) {
		t.Helper()
		check(t, err)
	}
	var want []ledger.Lease
	for id := int64(40); id > 0; id-- { // more than are asked for at once, and not in their order
		must(pb.NewLeaseClient(c.ActiveConnection()).LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: id, TTL: 600 + id}))
		want = append(want, ledger.Lease{ID: id, TTL: 600 + id})
	}
	slices.SortFunc(want, func(a, b ledger.Lease) int { return cmp.Compare(a.ID, b.ID) })
	for _, key := range []string{"z", "a"} {
		must(c.Put(ctx, key, "v", clientv3.WithLease(7)))
		want[6].Keys = append([]ledger.Key{ledger.Key(key)}, want[6].Keys...)
	}
	must(c.RoleAdd(ctx, "root"))
	must(c.RoleAdd(ctx, "reader"))
	must(c.RoleGrantPermission(ctx, "reader", "x", "y", clientv3.PermissionType(clientv3.PermRead)))
	must(c.RoleGrantPermission(ctx, "reader", "a", "", clientv3.PermissionType(clientv3.PermReadWrite)))
	must(c.UserAdd(ctx, "root", "secret"))
	must(c.UserGrantRole(ctx, "root", "root"))
	must(c.UserAdd(ctx, "anna", "secret"))
	must(c.AuthEnable(ctx))

	if state, err := ReadState(ctx, m.dial(t), func(ledger.Lease) error { return nil }); err == nil {
		t.Errorf("a stranger was told %+v", state)
	}
	root, err := harness.Dial(m.url, harness.Access{Login: harness.Login{User: "root", Password: "secret"}})
	check(t, err)
	defer func() { _ = root.Close() }()
	must(pb.NewMaintenanceClient(root.ActiveConnection()).Alarm(ctx, &pb.AlarmRequest{
		Action: pb.AlarmRequest_ACTIVATE, MemberID: 77, Alarm: pb.AlarmType_NOSPACE,
	}))
	var leases []ledger.Lease
	state, err := ReadState(ctx, root, func(l ledger.Lease) error {
		if l.Left < 0 || l.Left > l.TTL {
			return fmt.Errorf("lease %+v", l)
		}
		l.Left = 0
		leases = append(leases, l)
		return nil
	})
	check(t, err)
	if !reflect.DeepEqual(leases, want) {
		t.Errorf("leases %+v\nwant   %+v", leases, want)
	}
	wantState := ledger.State{
		Auth: ledger.Auth{
			Enabled: true, Revision: state.Auth.Revision,
			Users: []ledger.User{{Name: "anna"}, {Name: "root", Roles: []string{"root"}}},
			Roles: []ledger.Role{
				{Name: "reader", Permissions: []ledger.Permission{{Type: "READWRITE", Key: "a"}, {Type: "READ", Key: "x", End: "y"}}},
				{Name: "root"},
			},
		},
		Alarms:         []ledger.Alarm{{Member: 77, Type: "NOSPACE"}},
		Members:        []ledger.MemberSeat{{ID: state.Members[0].ID, Name: "default", PeerURLs: []string{"http://127.0.0.1:1"}}},
		StorageVersion: "3.7.0", Leases: 40,
	}
	if !reflect.DeepEqual(state, wantState) || state.Members[0].ID == 0 || state.Auth.Revision < 2 {
		t.Errorf("got  %+v\nwant %+v", state, wantState)
	}
}
