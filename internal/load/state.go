package load

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ReadState reads what a living member holds beside its keys, and hands its leases over one by one, sorted by ID. It changes
// no key and no revision. With authentication on, the client must be root's.
//
// The member list and the IDs of the leases are the member's own. What is left of a lease, and its keys, only the leader
// knows, whom the member asks (server/etcdserver/v3_server.go, leaseTimeToLive); users, roles and alarms the member answers
// itself, but not before a quorum has agreed to the question. So the cluster must have a leader.
func ReadState(ctx context.Context, client *clientv3.Client, leases func(ledger.Lease) error) (ledger.State, error) {
	r := stateReading{client: client, leases: leases}
	for _, part := range []struct {
		name string
		read func(context.Context) error
	}{
		{"status", r.readStatus}, {"members", r.readMembers}, {"alarms", r.readAlarms}, {"users and roles", r.readAuth},
		{"leases", r.readLeases},
	} {
		if err := part.read(ctx); err != nil {
			return r.state, fmt.Errorf("read %s: %w", part.name, err)
		}
	}
	return r.state, nil
}

type stateReading struct {
	client *clientv3.Client
	leases func(ledger.Lease) error
	state  ledger.State
}

func (r *stateReading) readStatus(ctx context.Context) error {
	resp, err := r.client.Status(ctx, r.client.Endpoints()[0])
	if err != nil {
		return err
	}
	r.state.StorageVersion = resp.StorageVersion
	if resp.DowngradeInfo.GetEnabled() {
		r.state.DowngradeTo = resp.DowngradeInfo.GetTargetVersion()
	}
	return nil
}

func (r *stateReading) readMembers(ctx context.Context) error {
	resp, err := r.client.MemberList(ctx, clientv3.WithSerializable())
	if err != nil {
		return err
	}
	r.state.Members = []ledger.MemberSeat{}
	for _, m := range resp.Members {
		r.state.Members = append(r.state.Members, ledger.MemberSeat{
			ID: identity.MemberID(m.ID), Name: m.Name, PeerURLs: m.PeerURLs, Learner: m.IsLearner,
		})
	}
	slices.SortFunc(r.state.Members, func(a, b ledger.MemberSeat) int { return cmp.Compare(a.ID, b.ID) })
	return nil
}

func (r *stateReading) readAlarms(ctx context.Context) error {
	resp, err := r.client.AlarmList(ctx)
	if err != nil {
		return err
	}
	r.state.Alarms = Alarms(resp.Alarms)
	return nil
}

// Alarms puts etcd's alarms into the ledger's words, sorted.
func Alarms(list []*pb.AlarmMember) []ledger.Alarm {
	var alarms []ledger.Alarm
	for _, a := range list {
		alarms = append(alarms, ledger.Alarm{Member: identity.MemberID(a.MemberID), Type: a.Alarm.String()})
	}
	slices.SortFunc(alarms, ledger.Alarm.Compare)
	return alarms
}

func (r *stateReading) readAuth(ctx context.Context) error {
	auth := &r.state.Auth
	status, err := r.client.AuthStatus(ctx)
	if err != nil {
		return err
	}
	auth.Enabled, auth.Revision = status.Enabled, status.AuthRevision
	users, err := r.client.UserList(ctx)
	if err != nil {
		return err
	}
	for _, name := range r.bounded(users.Users) {
		user, err := r.client.UserGet(ctx, name)
		if err != nil {
			return fmt.Errorf("user %q: %w", name, err)
		}
		slices.Sort(user.Roles)
		auth.Users = append(auth.Users, ledger.User{Name: name, Roles: user.Roles})
	}
	roles, err := r.client.RoleList(ctx)
	if err != nil {
		return err
	}
	for _, name := range r.bounded(roles.Roles) {
		role, err := r.client.RoleGet(ctx, name)
		if err != nil {
			return fmt.Errorf("role %q: %w", name, err)
		}
		auth.Roles = append(auth.Roles, roleOf(name, role))
	}
	return nil
}

// bounded sorts names and keeps as many as an Auth lists.
func (r *stateReading) bounded(names []string) []string {
	slices.Sort(names)
	if len(names) > ledger.MaxNames {
		r.state.Auth.Cut = true
		names = names[:ledger.MaxNames]
	}
	return names
}

func roleOf(name string, role *clientv3.AuthRoleGetResponse) ledger.Role {
	out := ledger.Role{Name: name}
	if name == ledger.RootRole {
		return out
	}
	for _, p := range role.Perm {
		out.Permissions = append(out.Permissions, ledger.Permission{
			Type: p.PermType.String(), Key: ledger.Key(p.Key), End: ledger.Key(p.RangeEnd),
		})
	}
	slices.SortFunc(out.Permissions, ledger.Permission.Compare)
	return out
}

// leasesAtOnce is how many leases are asked for side by side.
const leasesAtOnce = 16

// readLeases asks for all IDs, and then for each lease. One that expires in between is passed over.
func (r *stateReading) readLeases(ctx context.Context) error {
	list, err := r.client.Leases(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(list.Leases, func(a, b clientv3.LeaseStatus) int { return cmp.Compare(a.ID, b.ID) })
	for batch := range slices.Chunk(list.Leases, leasesAtOnce) {
		found := make([]*clientv3.LeaseTimeToLiveResponse, len(batch))
		work, workCtx := errgroup.WithContext(ctx)
		for i, lease := range batch {
			work.Go(func() (err error) {
				found[i], err = r.client.TimeToLive(workCtx, lease.ID, clientv3.WithAttachedKeys())
				return err
			})
		}
		if err := work.Wait(); err != nil {
			return err
		}
		for _, lease := range found {
			if lease.GrantedTTL == 0 { // etcd's word for a lease that is not there (api/v3rpc/lease.go)
				continue
			}
			if err := r.leases(leaseOf(lease)); err != nil {
				return err
			}
			r.state.Leases++
		}
	}
	return nil
}

func leaseOf(resp *clientv3.LeaseTimeToLiveResponse) ledger.Lease {
	lease := ledger.Lease{ID: int64(resp.ID), TTL: resp.GrantedTTL, Left: resp.TTL}
	for _, key := range resp.Keys {
		lease.Keys = append(lease.Keys, ledger.Key(key))
	}
	slices.Sort(lease.Keys)
	return lease
}
