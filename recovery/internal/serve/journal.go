package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// readLog is the worker's part of offline.Inspect that looks at a write-ahead log. What it learned before it failed is returned
// beside the error.
func (j *job) readLog(ctx context.Context, task wire.LogTask) (*recovery.Log, error) {
	if err := blob.CopySegments(ctx, task.Dir, task.Copy); err != nil {
		return nil, err
	}
	scan := &logScan{log: recovery.Log{Dir: task.Dir}, applied: task.Applied}
	err := scan.read(ctx, task.Copy)
	return scan.result(), err
}

// read reads the segments of a folder.
func (s *logScan) read(ctx context.Context, dir string) error {
	names, err := blob.SegmentsIn(dir)
	if err != nil {
		return err
	}
	s.log.Segments = len(names)
	err = survive(func() error { return s.run(ctx, dir, names) })
	if errors.Is(err, errPanicked) { // the helpers of package wal panic where a record cannot be decoded
		err = s.bad("a record cannot be decoded", err)
	}
	if err == nil && len(names) > 0 && !s.metadata {
		err = s.bad("it does not say whose it is", nil)
	}
	return err
}

// bad says what is wrong with the log.
func (s *logScan) bad(why string, cause error) error {
	return &recovery.SourceError{Path: s.log.Dir, Fault: recovery.ErrBadLog, Why: why, Cause: cause}
}

// logScan reads a log record by record and keeps none of them. wal.ReadAll would keep all, and would not read a log whose
// first segments were purged without a snapshot to begin at.
type logScan struct {
	log       recovery.Log
	applied   uint64 // the consistent index of the backend
	behind    []bool // of every entry above it, in order: whether it can make a revision
	base      uint64 // the index of the first of them
	snapshots []uint64
	metadata  bool
	grown     bool // it holds entries that a restore does not write
}

func (s *logScan) run(ctx context.Context, dir string, names []string) (err error) {
	readers := make([]fileutil.FileReader, len(names))
	var before uint64
	for i, name := range names {
		sequence, _ := blob.SequenceOf(name)
		if i > 0 && sequence != before+1 {
			return s.bad(fmt.Sprintf("segment %d is not followed by %d but by %d", before, before+1, sequence), nil)
		}
		before = sequence
		file, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // read only
		readers[i] = fileutil.NewFileReader(file)
	}
	decoder := wal.NewDecoder(readers...)
	record := &walpb.Record{}
	for count := 0; ; count++ {
		if count%recordsPerLook == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch err := decoder.Decode(record); {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			s.log.Torn = true
			return nil
		case err != nil:
			return s.bad("", err)
		}
		if err := s.take(record, decoder); err != nil {
			return err
		}
	}
}

// take learns from one record. The types and what follows from them are those of validSnapshotEntries and ReadAll in
// etcd's server/storage/wal/wal.go.
func (s *logScan) take(record *walpb.Record, decoder wal.Decoder) error {
	switch record.GetType() {
	case wal.MetadataType:
		var metadata etcdserverpb.Metadata
		if err := proto.Unmarshal(record.Data, &metadata); err != nil {
			return s.bad("metadata", err)
		}
		member, cluster := identity.MemberID(metadata.GetNodeID()), identity.ClusterID(metadata.GetClusterID())
		if s.metadata && (member != s.log.MemberID || cluster != s.log.ClusterID) {
			return s.bad(fmt.Sprintf("it is the log of member %s and of %s", s.log.MemberID, member), nil)
		}
		s.metadata, s.log.MemberID, s.log.ClusterID = true, member, cluster
	case wal.StateType:
		state := wal.MustUnmarshalState(record.Data)
		s.log.Term, s.log.Commit = state.GetTerm(), state.GetCommit()
	case wal.CrcType:
		if crc := decoder.LastCRC(); crc != 0 && record.Validate(crc) != nil {
			return s.bad("between two segments", wal.ErrCRCMismatch)
		}
		decoder.UpdateCRC(record.GetCrc())
	case wal.SnapshotType:
		var snapshot walpb.Snapshot
		if err := proto.Unmarshal(record.Data, &snapshot); err != nil {
			return s.bad("snapshot record", err)
		}
		s.snapshots = append(s.snapshots, snapshot.GetIndex())
	case wal.EntryType:
		s.entry(wal.MustUnmarshalEntry(record.Data))
	default:
		return s.bad(fmt.Sprintf("a record has the unknown type %d", record.GetType()), nil)
	}
	return nil
}

// entry counts an entry. One whose index is not higher than that of the last takes back all from there on: a leader has
// overruled them.
func (s *logScan) entry(e *raftpb.Entry) {
	index := e.GetIndex()
	if s.log.First == 0 || index < s.log.First {
		s.log.First = index
	}
	s.log.Last = index
	change := e.GetType() != raftpb.EntryNormal
	s.grown = s.grown || !change || e.GetTerm() > 1
	if index <= s.applied {
		s.behind = nil
		return
	}
	if len(s.behind) == 0 || index < s.base {
		s.base, s.behind = index, nil
	}
	s.behind = append(s.behind[:min(index-s.base, uint64(len(s.behind)))], !change && canWrite(e.GetData()))
	var joining raftpb.ConfChange
	if e.GetType() == raftpb.EntryConfChange && proto.Unmarshal(e.GetData(), &joining) == nil &&
		(joining.GetType() == raftpb.ConfChangeAddNode || joining.GetType() == raftpb.ConfChangeAddLearnerNode) {
		s.log.Joins = append(s.log.Joins, identity.MemberID(joining.GetNodeId()))
	}
}

// canWrite tells whether the request may make a revision when it is applied. What cannot be decoded is of an older API, which
// has no part in the keyspace.
func canWrite(data []byte) bool {
	var request etcdserverpb.InternalRaftRequest
	if proto.Unmarshal(data, &request) != nil {
		return false
	}
	return request.Put != nil || request.DeleteRange != nil || request.Txn != nil || request.LeaseRevoke != nil
}

func (s *logScan) result() *recovery.Log {
	for _, index := range s.snapshots {
		if index <= s.log.Commit { // a later one was written ahead of its entries (ValidSnapshotEntries)
			s.log.Snapshot = index
		}
	}
	s.log.Bootstrap = s.metadata && !s.grown
	s.log.Behind.Entries = uint64(len(s.behind))
	for i, writes := range s.behind {
		if s.base+uint64(i) <= s.log.Commit {
			s.log.Behind.Committed++
		}
		if writes {
			s.log.Behind.Writes++
		}
	}
	return &s.log
}
