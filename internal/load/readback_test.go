package load

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.uber.org/goleak"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestReadBackLeavesOutWhatNobodyReceives(t *testing.T) {
	ctx := testContext(t)
	client := startMember(t).dial(t)
	for i := range 50 {
		_, err := client.Put(ctx, fmt.Sprintf("k%02d", i), "v")
		check(t, err)
	}
	whole, err := readBack(ctx, client, 51, 0)
	check(t, err)
	back, err := ReadBack(ctx, client, ReadSpec{Revision: 51, DigestKey: digestKey()})
	check(t, err)
	if back.Records+back.Keys != 0 || back.HashKV != whole.HashKV || back.Revision != 51 {
		t.Errorf("%+v", back)
	}
	var keys []ledger.Pair
	_, err = ReadBack(ctx, client, ReadSpec{Revision: 51, DigestKey: digestKey(), Keyspace: func(p ledger.Pair) error {
		keys = append(keys, p)
		return nil
	}})
	if err != nil || !reflect.DeepEqual(keys, whole.pairs) {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func TestReadBackShowsRecordsKeysAndHash(t *testing.T) {
	ctx := testContext(t)
	m := startMember(t)
	client := m.dial(t)
	must := func(_ any, err error) { t.Helper(); check(t, err) }
	must(client.Grant(ctx, 3600))
	must(operation{op: ledger.OpGrant, lease: 77, ttl: 3600}.send(ctx, client))
	must(client.Put(ctx, "b", "1"))                                                                                 // 2
	must(client.Put(ctx, "a", "2", clientv3.WithLease(77)))                                                         // 3
	must(client.Txn(ctx).Then(clientv3.OpPut("b", "3"), clientv3.OpDelete("a"), clientv3.OpPut("c", "4")).Commit()) // 4
	must(client.Put(ctx, "b", "5"))                                                                                 // 5
	must(client.Delete(ctx, "c"))                                                                                   // 6

	d := func(value string) string { return ledger.Digest(digestKey(), []byte(value)) }
	records := []ledger.Record{
		{Rev: 2, Key: "b", Digest: d("1"), Create: 2, Mod: 2, Version: 1},
		{Rev: 3, Key: "a", Digest: d("2"), Create: 3, Mod: 3, Version: 1, Lease: 77},
		{Rev: 4, Sub: 0, Key: "b", Digest: d("3"), Create: 2, Mod: 4, Version: 2},
		{Rev: 4, Sub: 1, Key: "a", Delete: true},
		{Rev: 4, Sub: 2, Key: "c", Digest: d("4"), Create: 4, Mod: 4, Version: 1},
		{Rev: 5, Key: "b", Digest: d("5"), Create: 2, Mod: 5, Version: 3},
		{Rev: 6, Key: "c", Delete: true},
	}
	for _, row := range []struct {
		revision, compacted int64
		records             []ledger.Record
		pairs               []ledger.Pair
	}{
		{1, 0, nil, nil},
		{4, -1, records[:5], []ledger.Pair{
			{Key: "b", Digest: d("3"), Create: 2, Mod: 4, Version: 2}, {Key: "c", Digest: d("4"), Create: 4, Mod: 4, Version: 1},
		}},
		{6, 3, records[2:], []ledger.Pair{{Key: "b", Digest: d("5"), Create: 2, Mod: 5, Version: 3}}},
		{6, 6, nil, []ledger.Pair{{Key: "b", Digest: d("5"), Create: 2, Mod: 5, Version: 3}}},
	} {
		v, err := readBack(ctx, client, row.revision, row.compacted)
		check(t, err)
		if !reflect.DeepEqual(v.records, row.records) {
			t.Errorf("history to %d is %+v", row.revision, v.records)
		}
		if !reflect.DeepEqual(v.pairs, row.pairs) {
			t.Errorf("keyspace at %d is %+v", row.revision, v.pairs)
		}
		want, err := client.HashKV(ctx, client.Endpoints()[0], row.revision)
		check(t, err)
		if v.HashKV != want.Hash || v.Revision != 6 || uint64(v.MemberID) != want.Header.MemberId ||
			uint64(v.ClusterID) != want.Header.ClusterId || v.Records != int64(len(v.records)) || v.Keys != int64(len(v.pairs)) {
			t.Errorf("readback at %d is %+v, HashKV %+v", row.revision, v.Readback, want)
		}
	}
}

func TestReadBackStopsAtItsRevisionWhileWritesGoOn(t *testing.T) {
	ctx := testContext(t)
	m, b := startMember(t), newBook()
	// Bounded, because a member that is kept busy enough never has its watch catch up, and then tells of no progress.
	l, err := Start(ctx, Options{
		Targets: []Target{m}, Ledger: b, Keys: 2500, ValueBytes: 4096, Workers: 16, Rate: 500, DigestKey: digestKey(),
	})
	check(t, err)
	check(t, l.AwaitFilled(ctx))
	const revision = 2400
	v, err := readBack(ctx, m.dial(t), revision, 0)
	check(t, err)
	_, err = l.Stop(ctx)
	check(t, err)
	if last := v.records[len(v.records)-1].Rev; last != revision || v.Revision <= revision {
		t.Errorf("the last record is of revision %d, the member at %d", last, v.Revision)
	}
	later, err := readBack(ctx, m.dial(t), revision, 0)
	check(t, err)
	if !reflect.DeepEqual(v.records, later.records) || !reflect.DeepEqual(v.pairs, later.pairs) || v.HashKV != later.HashKV {
		t.Error("two readings at one revision differ")
	}
	folded := fold(v.records)
	if len(folded) != len(v.pairs) {
		t.Fatalf("the history leaves %d keys, the keyspace has %d", len(folded), len(v.pairs))
	}
	for _, p := range v.pairs {
		if folded[p.Key] != p {
			t.Errorf("%s is %+v by history and %+v by range", p.Key, folded[p.Key], p)
		}
	}
}

// fold returns the keyspace that a history leaves.
func fold(records []ledger.Record) map[ledger.Key]ledger.Pair {
	keys := make(map[ledger.Key]ledger.Pair)
	for _, r := range records {
		if r.Delete {
			delete(keys, r.Key)
			continue
		}
		keys[r.Key] = ledger.Pair{Key: r.Key, Digest: r.Digest, Create: r.Create, Mod: r.Mod, Version: r.Version, Lease: r.Lease}
	}
	return keys
}

func TestReadBackTellsWhyItCannotRead(t *testing.T) {
	ctx := testContext(t)
	m := startMember(t)
	client := m.dial(t)
	for range 5 {
		_, err := client.Put(ctx, "k", "v")
		check(t, err)
	}
	_, err := client.Compact(ctx, 4, clientv3.WithCompactPhysical())
	check(t, err)
	before := goleak.IgnoreCurrent()

	if _, err := readBack(ctx, client, 6, 2); !errors.Is(err, rpctypes.ErrCompacted) || !strings.Contains(err.Error(), "revision 4") {
		t.Errorf("history below the compaction point: %v", err)
	}
	if v, err := readBack(ctx, client, 6, 4); err != nil || v.Records != 2 || v.HashFrom != 4 {
		t.Errorf("history from the compaction point on: %+v, %v", v, err)
	}
	behind, err := ReadBack(ctx, client, ReadSpec{
		Revision: 7, Compacted: 4,
		History:  func(ledger.Record) error { return nil },
		Keyspace: func(ledger.Pair) error { return nil },
	})
	if !errors.Is(err, ErrBehind) || behind.Revision != 6 || behind.MemberID == 0 {
		t.Errorf("a revision that the member has not reached: %+v, %v", behind, err)
	}
	stop := errors.New("disk full")
	_, err = ReadBack(ctx, client, ReadSpec{
		Revision: 6, Compacted: 4,
		History:  func(ledger.Record) error { return stop },
		Keyspace: func(ledger.Pair) error { return nil },
	})
	if !errors.Is(err, stop) {
		t.Errorf("a receiver that fails: %v", err)
	}
	if _, err := readBack(ctx, client, 0, 0); err == nil {
		t.Error("revision 0 was read")
	}

	m.signal(t, syscall.SIGSTOP)
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	started := time.Now()
	if _, err := readBack(short, client, 6, 4); !errors.Is(err, context.DeadlineExceeded) || time.Since(started) > time.Second {
		t.Errorf("a frozen member, after %s: %v", time.Since(started), err)
	}
	goleak.VerifyNone(t, before)
}

func TestReadBackNoticesAnotherMember(t *testing.T) {
	r := reading{}
	client := startMember(t).dial(t)
	resp, err := client.Get(testContext(t), "x")
	check(t, err)
	check(t, r.sameMember(resp.Header))
	resp.Header.MemberId++
	if err := r.sameMember(resp.Header); err == nil {
		t.Error("an answer of another member was taken")
	}
}
