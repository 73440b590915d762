package dataset

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/etcd-drill/etcd-drill/internal/loopback"
)

// TestADataSetIsWhatALivingEtcdMakes has a living etcd do the writes of a data set, and compares what both files hold.
func TestADataSetIsWhatALivingEtcdMakes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	spec := Spec{SizeBytes: MinSizeBytes, ValueBytes: 700, Revisions: 2, Leases: 3, Seed: 7}
	dir := t.TempDir()
	from := originOf(Newest)
	from.PeerURL, from.ClientURL = freeURL(t), freeURL(t)
	made, living := filepath.Join(dir, "made"), filepath.Join(dir, "living")
	if err := write(ctx, spec, from, made, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	writeLiving(t, ctx, spec, from, made, living)
	got, want := contentOf(t, made), contentOf(t, filepath.Join(living, "member", "snap", "db"))
	for _, bucket := range slices.Sorted(maps.Keys(want)) {
		if len(got[bucket]) != len(want[bucket]) {
			t.Errorf("bucket %s has %d entries, of a living etcd %d", bucket, len(got[bucket]), len(want[bucket]))
		}
		for key, value := range want[bucket] {
			// How many entries a member applies before its first write depends on its elections.
			ignored := schema.DefaultIgnores([]byte(bucket), []byte(key)) && got[bucket][key] != "" && key != string(schema.MetaStorageVersionName)
			if got[bucket][key] != value && !ignored {
				t.Errorf("bucket %s, %x is %q, of a living etcd %q", bucket, key, got[bucket][key], value)
			}
		}
	}
	if ours, theirs := leavesOf(t, made), leavesOf(t, filepath.Join(living, "member", "snap", "db")); ours != theirs {
		t.Errorf("records fill %d pages, of a living etcd %d", ours, theirs)
	}
	if len(got) != len(want) {
		t.Errorf("buckets are %v, of a living etcd %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

// writeLiving grants and puts what the data set says, with the values that it holds.
func writeLiving(t *testing.T, ctx context.Context, spec Spec, from origin, made, dir string) {
	t.Helper()
	config := embed.NewConfig()
	config.Dir, config.Name, config.LogLevel, config.UnsafeNoFsync = dir, from.Name, "fatal", true
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{parse(t, from.PeerURL)}, []url.URL{parse(t, from.PeerURL)}
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{parse(t, from.ClientURL)}, []url.URL{parse(t, from.ClientURL)}
	config.InitialCluster, config.InitialClusterToken = from.Name+"="+from.PeerURL, string(from.Token)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{from.ClientURL}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	for n := range int64(spec.Leases) {
		request := &pb.LeaseGrantRequest{ID: leaseID(n), TTL: leaseTTL}
		if _, err := pb.NewLeaseClient(client.ActiveConnection()).LeaseGrant(ctx, request); err != nil {
			t.Fatal(err)
		}
	}
	values := valuesOf(t, made)
	for n, value := range values {
		kv := spec.record(int64(n), spec.Keys())
		response, err := client.Put(ctx, string(kv.Key), value, clientv3.WithLease(clientv3.LeaseID(kv.Lease)))
		if err != nil {
			t.Fatal(err)
		}
		if response.Header.Revision != kv.ModRevision {
			t.Fatalf("record %d was written at revision %d, not %d", n, response.Header.Revision, kv.ModRevision)
		}
	}
	if last := spec.record(int64(len(values)-1), spec.Keys()).ModRevision; last != spec.Revision() {
		t.Errorf("the last record is of revision %d, the data set's is %d", last, spec.Revision())
	}
}

func contentOf(t *testing.T, path string) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	view(t, path, func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, bucket *bolt.Bucket) error {
			all[string(name)] = map[string]string{}
			return bucket.ForEach(func(key, value []byte) error {
				all[string(name)][string(key)] = string(value)
				return nil
			})
		})
	})
	return all
}

// leavesOf counts the pages that records lie in.
func leavesOf(t *testing.T, path string) (pages int) {
	t.Helper()
	view(t, path, func(tx *bolt.Tx) error {
		pages = tx.Bucket(schema.Key.Name()).Stats().LeafPageN
		return nil
	})
	return pages
}

func view(t *testing.T, path string, look func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.View(look), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func freeURL(t *testing.T) string {
	t.Helper()
	address, err := loopback.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + address
}

func parse(t *testing.T, text string) url.URL {
	t.Helper()
	parsed, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return *parsed
}
