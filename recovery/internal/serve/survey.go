package serve

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/lease/leasepb"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"google.golang.org/protobuf/proto"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// survey is the worker's part of offline.Inspect that looks at a database. What it learned before it failed is returned beside the
// error.
func (j *job) survey(ctx context.Context, task wire.SurveyTask) (*recovery.Database, error) {
	c, err := copyPrivate(ctx, task.Source)
	if err != nil {
		return nil, err
	}
	if err := c.hash(); err != nil {
		return nil, err
	}
	db := &recovery.Database{Path: task.Source.Path, Kind: c.kind, Hash: recovery.HashNone, SizeBytes: c.sizeBytes, SHA256: c.sha256}
	switch {
	case c.kind == recovery.SavedSnapshot && c.hashFault == nil:
		db.Hash = recovery.HashGood
	case c.kind == recovery.SavedSnapshot:
		db.Hash = recovery.HashBad
	}
	db.ImageBytes = blob.ImageBytes(c.path, c.databaseBytes())
	if err := c.judgeExtent(task.Source.Path); err != nil {
		return db, err
	}
	db.Warnings = c.warnings
	content := &recovery.Content{}
	if err = blob.CheckPages(ctx, c.path); err == nil {
		err = viewDatabase(c.path, func(tx *bolt.Tx) error { return readContent(ctx, content, tx) })
	}
	if err != nil {
		return db, blame(task.Source.Path, err)
	}
	db.Content = content
	return db, nil
}

// readContent fills in everything.
func readContent(ctx context.Context, c *recovery.Content, tx *bolt.Tx) error {
	found, err := surveyRecords(ctx, tx)
	if err != nil {
		return err
	}
	c.Records, c.Keys = found.records, int64(len(found.live))
	if err := readBrief(c, tx); err != nil {
		return err
	}
	c.RestorePoint = max(found.last, c.FinishedCompaction, c.ScheduledCompaction, 1)
	if err := readLeases(c, tx, found.live); err != nil {
		return err
	}
	if err := readAlarms(c, tx); err != nil {
		return err
	}
	readAuth(c, tx)
	return nil
}

// readBrief fills in what costs little: who the members are and how far they came.
func readBrief(c *recovery.Content, tx *bolt.Tx) (err error) {
	if c.FinishedCompaction, c.ScheduledCompaction, err = compactions(tx); err != nil {
		return err
	}
	meta := tx.Bucket(schema.Meta.Name())
	c.ConsistentIndex = bigEndian(meta.Get(schema.MetaConsistentIndexKeyName))
	c.Term = bigEndian(meta.Get(schema.MetaTermKeyName))
	if version := schema.ReadStorageVersionFromSnapshot(tx); version != nil {
		c.StorageVersion = version.String()
	}
	if err := readMembers(c, tx); err != nil {
		return err
	}
	cluster := tx.Bucket(schema.Cluster.Name())
	if cluster == nil {
		return nil
	}
	c.ClusterVersion = string(cluster.Get(schema.ClusterClusterVersionKeyName))
	stored := cluster.Get(schema.ClusterDowngradeKeyName)
	if stored == nil {
		return nil
	}
	var downgrade struct { // DowngradeInfo in etcd's server/etcdserver/version
		Target  string `json:"target-version"`
		Enabled bool   `json:"enabled"`
	}
	if err := json.Unmarshal(stored, &downgrade); err != nil {
		return undecodable(schema.Cluster.Name(), err)
	}
	if downgrade.Enabled {
		c.DowngradeTo = downgrade.Target
	}
	return nil
}

func readMembers(c *recovery.Content, tx *bolt.Tx) error {
	c.Members = []recovery.MemberRecord{}
	err := forEachIn(tx, schema.Members.Name(), func(key, value []byte) error {
		var stored struct { // Member in etcd's server/etcdserver/api/membership
			Name     string   `json:"name"`
			PeerURLs []string `json:"peerURLs"`
			Learner  bool     `json:"isLearner"`
		}
		if err := json.Unmarshal(value, &stored); err != nil {
			return err
		}
		m := recovery.MemberRecord{Name: stored.Name, PeerURLs: stored.PeerURLs, Learner: stored.Learner}
		err := m.ID.UnmarshalText(key)
		c.Members = append(c.Members, m)
		return err
	})
	if err != nil {
		return err
	}
	return forEachIn(tx, schema.MembersRemoved.Name(), func(key, _ []byte) error {
		var id identity.MemberID
		err := id.UnmarshalText(key)
		c.Removed = append(c.Removed, id)
		return err
	})
}

// readLeases looks at every lease and at which of them the live keys are attached to.
func readLeases(c *recovery.Content, tx *bolt.Tx, live map[string]int64) error {
	known := map[int64]bool{}
	facts := &c.Leases
	err := forEachIn(tx, schema.Lease.Name(), func(_, value []byte) error {
		var lease leasepb.Lease
		if err := proto.Unmarshal(value, &lease); err != nil {
			return err
		}
		known[lease.ID] = true
		if facts.Count++; facts.Count == 1 {
			facts.MinTTL = lease.TTL
		}
		facts.MinTTL, facts.MaxTTL = min(facts.MinTTL, lease.TTL), max(facts.MaxTTL, lease.TTL)
		if lease.RemainingTTL > 0 {
			facts.Checkpointed++
		}
		return nil
	})
	for _, lease := range live {
		switch {
		case lease == 0:
		case known[lease]:
			facts.Keys++
		default:
			facts.LostKeys++
		}
	}
	return err
}

// readAlarms reads the keys of their bucket, which hold all there is of an alarm (server/storage/schema/alarm.go).
func readAlarms(c *recovery.Content, tx *bolt.Tx) error {
	return forEachIn(tx, schema.Alarm.Name(), func(key, _ []byte) error {
		var alarm etcdserverpb.AlarmMember
		if err := proto.Unmarshal(key, &alarm); err != nil {
			return err
		}
		c.Alarms = append(c.Alarms, recovery.AlarmRecord{Type: alarm.GetAlarm().String(), Member: identity.MemberID(alarm.GetMemberID())})
		return nil
	})
}

func readAuth(c *recovery.Content, tx *bolt.Tx) {
	if auth := tx.Bucket(schema.Auth.Name()); auth != nil {
		c.Auth.Enabled = bytes.Equal(auth.Get(schema.AuthEnabledKeyName), []byte{1})
		c.Auth.Revision = bigEndian(auth.Get(schema.AuthRevisionKeyName))
	}
	count := func(name []byte) int {
		if bucket := tx.Bucket(name); bucket != nil {
			return bucket.Stats().KeyN
		}
		return 0
	}
	c.Auth.Users, c.Auth.Roles = count(schema.AuthUsers.Name()), count(schema.AuthRoles.Name())
}

// forEachIn visits every entry of a bucket that may be absent.
func forEachIn(tx *bolt.Tx, name []byte, visit func(key, value []byte) error) error {
	bucket := tx.Bucket(name)
	if bucket == nil {
		return nil
	}
	return bucket.ForEach(func(key, value []byte) error {
		if err := visit(key, value); err != nil {
			return undecodable(name, err)
		}
		return nil
	})
}

func undecodable(bucket []byte, err error) error {
	return fmt.Errorf("%w: bucket %q: %w", recovery.ErrBadStructure, bucket, err)
}

// bigEndian reads a stored number; 0 for one that is absent. It panics on one that is too short, see survive.
func bigEndian(stored []byte) uint64 {
	if stored == nil {
		return 0
	}
	return binary.BigEndian.Uint64(stored)
}
