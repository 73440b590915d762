package offline

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/diagnose"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// writtenLog is a log that etcd's own package writes.
type writtenLog struct {
	t   *testing.T
	dir string
	wal *wal.WAL
}

func writeLog(t *testing.T, member, cluster uint64) *writtenLog {
	t.Helper()
	metadata, err := proto.Marshal(&etcdserverpb.Metadata{NodeID: &member, ClusterID: &cluster})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "member", "wal")
	log, err := wal.Create(zap.NewNop(), dir, metadata)
	if err != nil {
		t.Fatal(err)
	}
	return &writtenLog{t: t, dir: dir, wal: log}
}

func (w *writtenLog) save(term, commit uint64, entries ...*raftpb.Entry) {
	w.t.Helper()
	for _, e := range entries {
		e.Term = &term
	}
	if err := w.wal.Save(&raftpb.HardState{Term: &term, Commit: &commit}, entries); err != nil {
		w.t.Fatal(err)
	}
}

func (w *writtenLog) snapshot(index, term uint64) {
	w.t.Helper()
	if err := w.wal.SaveSnapshot(&walpb.Snapshot{Index: &index, Term: &term, ConfState: &raftpb.ConfState{}}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *writtenLog) close() string {
	w.t.Helper()
	if err := w.wal.Close(); err != nil {
		w.t.Fatal(err)
	}
	return w.dir
}

// puts are entries that write; a size of 0 makes one that does not.
func puts(t *testing.T, from, to uint64, valueBytes int) []*raftpb.Entry {
	t.Helper()
	var entries []*raftpb.Entry
	for index := from; index <= to; index++ {
		request := &etcdserverpb.InternalRaftRequest{LeaseGrant: &etcdserverpb.LeaseGrantRequest{TTL: 1}}
		if valueBytes > 0 {
			put := &etcdserverpb.PutRequest{Key: []byte("k"), Value: bytes.Repeat([]byte("v"), valueBytes)}
			request = &etcdserverpb.InternalRaftRequest{Put: put}
		}
		data, err := proto.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, &raftpb.Entry{Type: raftpb.EntryNormal.Enum(), Index: &index, Data: data})
	}
	return entries
}

func joins(t *testing.T, index, id uint64) *raftpb.Entry {
	t.Helper()
	data, err := proto.Marshal(&raftpb.ConfChange{Type: raftpb.ConfChangeAddNode.Enum(), NodeId: &id})
	if err != nil {
		t.Fatal(err)
	}
	return &raftpb.Entry{Type: raftpb.EntryConfChange.Enum(), Index: &index, Data: data}
}

func TestALogIsReadAsEtcdWroteIt(t *testing.T) {
	w := writeLog(t, 0xa, 0xc)
	w.save(1, 1, joins(t, 1, 0xa))
	w.save(2, 3, puts(t, 2, 6, 10)...)
	w.save(3, 4, append(puts(t, 5, 5, 0), joins(t, 6, 0xb))...) // a new leader has overruled 5 and 6
	w.snapshot(3, 2)
	w.snapshot(6, 3) // not committed yet, so it does not count
	got := readBack(t, w.close(), 2, "")
	want := recovery.Log{
		Dir: w.dir, ClusterID: 0xc, MemberID: 0xa, Segments: 1, First: 1, Last: 6, Term: 3, Commit: 4, Snapshot: 3,
		Behind: recovery.Behind{Entries: 4, Committed: 2, Writes: 2}, Joins: []identity.MemberID{0xb},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	w = writeLog(t, 0xa, 0xc)
	w.save(1, 2, joins(t, 1, 0xa), joins(t, 2, 0xb))
	if got := readBack(t, w.close(), 0, ""); !got.Bootstrap || got.Behind.Entries != 2 || got.Behind.Writes != 0 {
		t.Errorf("a log of nothing but members is %+v", got)
	}
}

func TestADamagedLogIsNamed(t *testing.T) {
	const segment = 64 << 10
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string, names []string)
		want  string // what is said of it; empty if it is sound
		check func(log recovery.Log) bool
	}{
		"whole": {func(*testing.T, string, []string) {}, "", func(l recovery.Log) bool {
			return l.First == 1 &&
				l.Last == 38 && !l.Torn
		}},
		"last record cut off": {cutLastRecord, "", func(l recovery.Log) bool { return l.Torn && l.Last < 38 && l.Last > 30 }},
		"bit flipped":         {flipFirstSegment, "crc mismatch", nil},
		"segment missing": {func(t *testing.T, dir string, names []string) { remove(t, dir, names[1]) },
			"segment 0 is not followed by 1", nil},
		"first segments purged": {func(t *testing.T, dir string, names []string) { remove(t, dir, names[0], names[1]) }, "",
			func(l recovery.Log) bool { return l.First > 10 && l.Last == 38 && l.MemberID == 0xa }},
		"emptied": {func(t *testing.T, dir string, names []string) {
			remove(t, dir, names[1:]...)
			if err := os.Truncate(filepath.Join(dir, names[0]), 0); err != nil {
				t.Fatal(err)
			}
		}, "does not say whose it is", nil},
	} {
		t.Run(name, func(t *testing.T) {
			before := wal.SegmentSizeBytes
			wal.SegmentSizeBytes = segment
			defer func() { wal.SegmentSizeBytes = before }()
			w := writeLog(t, 0xa, 0xc)
			for index := uint64(1); index <= 38; index++ {
				w.save(1, index, puts(t, index, index, 10_000)...)
			}
			dir := w.close()
			names, err := blob.SegmentsIn(dir)
			if err != nil || len(names) < 4 {
				t.Fatalf("segments %v, %v", names, err)
			}
			c.spoil(t, dir, names)
			log := readBack(t, dir, 0, c.want)
			if c.check != nil && !c.check(log) {
				t.Errorf("got %+v", log)
			}
		})
	}
}

// readBack inspects a directory that holds nothing but this log.
func readBack(t *testing.T, dir string, applied uint64, want string) recovery.Log {
	t.Helper()
	var proof diagnose.Evidence
	worker := testWorker(t, "serve")
	log, err := worker.surveyLog(recoverytest.Context(t), dir, applied, &proof)
	if err != nil {
		t.Fatal(err)
	}
	if fault := proof.LogFault; (fault != nil) != (want != "") ||
		fault != nil && (!errors.Is(fault, recovery.ErrBadLog) || !strings.Contains(fault.Error(), want)) {
		t.Errorf("got %v, want %q", fault, want)
	}
	recoverytest.AssertEmpty(t, worker.Scratch)
	return *log
}

func cutLastRecord(t *testing.T, dir string, names []string) {
	path := filepath.Join(dir, names[len(names)-1])
	data := recoverytest.ReadAll(t, path)
	end := len(data)
	for end > 0 && data[end-1] == 0 {
		end--
	}
	clear(data[(end-2000)/512*512 : end]) // Whole sectors of it never reached the disk
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func flipFirstSegment(t *testing.T, dir string, names []string) {
	recoverytest.TouchByte(t, filepath.Join(dir, names[0]), 30_000)
}

func remove(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}
