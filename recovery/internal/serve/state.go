package serve

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"slices"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/authpb"
	"go.etcd.io/etcd/server/v3/lease/leasepb"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"google.golang.org/protobuf/proto"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// writeState writes what a database holds beside its keys: State as one JSON value, and a stream of leases. attached holds the
// live keys that carry a lease.
func writeState(tx *bolt.Tx, task wire.ExtractTask, attached map[int64][]ledger.Key, contents *recovery.Contents) error {
	state, err := stateOf(tx)
	if err != nil {
		return err
	}
	leases, err := leasesOf(tx, attached)
	if err != nil {
		return err
	}
	state.Leases = int64(len(leases))
	if task.Cover {
		state = state.Cover(task.Coverer())
	}
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	if err := os.WriteFile(task.State, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return writeLines(task.Leases, &contents.Leases, func(write func(ledger.Lease) error) error {
		for _, lease := range leases {
			lease.Keys = attached[lease.ID]
			slices.Sort(lease.Keys)
			if err := write(lease); err != nil {
				return err
			}
		}
		return nil
	})
}

// leasesOf returns all leases by ID, without their keys. One that keys are attached to and that is not there has no TTL.
func leasesOf(tx *bolt.Tx, attached map[int64][]ledger.Key) ([]ledger.Lease, error) {
	var leases []ledger.Lease
	known := map[int64]bool{}
	err := forEachIn(tx, schema.Lease.Name(), func(_, value []byte) error {
		var stored leasepb.Lease
		if err := proto.Unmarshal(value, &stored); err != nil {
			return err
		}
		known[stored.GetID()] = true
		leases = append(leases, ledger.Lease{ID: stored.GetID(), TTL: stored.GetTTL(), Left: stored.GetRemainingTTL()})
		return nil
	})
	for id := range attached {
		if !known[id] {
			leases = append(leases, ledger.Lease{ID: id})
		}
	}
	slices.SortFunc(leases, func(a, b ledger.Lease) int { return cmp.Compare(a.ID, b.ID) })
	return leases, err
}

// stateOf reads everything else, most of it as offline.Inspect does. The passwords' hashes stay where they are.
func stateOf(tx *bolt.Tx) (ledger.State, error) {
	var c recovery.Content
	if err := errors.Join(readBrief(&c, tx), readAlarms(&c, tx)); err != nil {
		return ledger.State{}, err
	}
	readAuth(&c, tx)
	state := ledger.State{
		StorageVersion: c.StorageVersion, ClusterVersion: c.ClusterVersion, DowngradeTo: c.DowngradeTo,
		Auth: ledger.Auth{Enabled: c.Auth.Enabled, Revision: c.Auth.Revision}, Members: []ledger.MemberSeat{},
	}
	for _, m := range c.Members {
		state.Members = append(state.Members, ledger.MemberSeat{ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, Learner: m.Learner})
	}
	for _, a := range c.Alarms {
		state.Alarms = append(state.Alarms, ledger.Alarm{Member: a.Member, Type: a.Type})
	}
	slices.SortFunc(state.Members, func(a, b ledger.MemberSeat) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(state.Alarms, ledger.Alarm.Compare)
	return state, readNames(tx, &state.Auth)
}

// readNames reads as many users and roles as a State lists, in the order of their names.
func readNames(tx *bolt.Tx, auth *ledger.Auth) error {
	err := forEachIn(tx, schema.AuthUsers.Name(), func(_, value []byte) error {
		var stored authpb.User
		if err := proto.Unmarshal(value, &stored); err != nil {
			return err
		}
		if len(auth.Users) == ledger.MaxNames {
			auth.Cut = true
			return nil
		}
		slices.Sort(stored.Roles)
		auth.Users = append(auth.Users, ledger.User{Name: string(stored.Name), Roles: stored.Roles})
		return nil
	})
	if err != nil {
		return err
	}
	return forEachIn(tx, schema.AuthRoles.Name(), func(_, value []byte) error {
		var stored authpb.Role
		if err := proto.Unmarshal(value, &stored); err != nil {
			return err
		}
		if len(auth.Roles) == ledger.MaxNames {
			auth.Cut = true
			return nil
		}
		auth.Roles = append(auth.Roles, roleOf(&stored))
		return nil
	})
}

func roleOf(stored *authpb.Role) ledger.Role {
	role := ledger.Role{Name: string(stored.GetName())}
	if role.Name == ledger.RootRole {
		return role
	}
	for _, p := range stored.GetKeyPermission() {
		role.Permissions = append(role.Permissions, ledger.Permission{
			Type: p.GetPermType().String(), Key: ledger.Key(p.GetKey()), End: ledger.Key(p.GetRangeEnd()),
		})
	}
	slices.SortFunc(role.Permissions, ledger.Permission.Compare)
	return role
}
