package serve

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"google.golang.org/protobuf/proto"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// restore is the worker's part of offline.Restore.
func (j *job) restore(ctx context.Context, task wire.RestoreTask) (*wire.Rebuilt, error) {
	if len(task.Members) == 0 {
		return nil, errors.New("no member is to be restored")
	}
	r := &rebuilding{job: j, task: task, laps: &laps{}}
	if err := r.build(ctx); err != nil {
		return nil, err
	}
	if err := r.merge(); err != nil {
		return nil, err
	}
	if err := r.makeTwins(ctx); err != nil {
		return nil, err
	}
	r.made.SHA256 = r.source.sha256
	start := time.Now()
	for _, member := range task.Members {
		done, err := j.finish(member)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", member.Name, err)
		}
		r.made.Members = append(r.made.Members, done)
	}
	r.laps.add(recovery.LapSync, start, 0)
	r.made.Laps = r.laps.inOrder()
	return &r.made, nil
}

// rebuilding is one restore by a worker.
type rebuilding struct {
	job    *job
	task   wire.RestoreTask
	began  time.Time // the copy, and its hash
	source *privateCopy
	laps   *laps
	made   wire.Rebuilt
}

// build has etcdutl restore the core of the private copy while what is left of the hash is computed. What comes of a copy that turns out
// to be wrong is thrown away, and the hash is the reason that is told.
func (r *rebuilding) build(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := r.askVersion(ctx); err != nil {
		return err
	}
	if err := r.takeSource(ctx); err != nil {
		return err
	}
	verified, cores := make(chan error, 1), make(chan error, 1)
	go func() { verified <- r.verify() }()
	go func() { cores <- r.restoreCores(ctx) }()
	select {
	case err := <-verified:
		if err == nil {
			return <-cores
		}
		cancel()
		if r.task.Etcdutl == "" {
			return err // the library does not end with the context, but with the worker
		}
		return cmp.Or(err, <-cores)
	case err := <-cores:
		return cmp.Or(<-verified, err)
	}
}

// takeSource makes the private copy, and refuses at once what cannot be a database.
func (r *rebuilding) takeSource(ctx context.Context) (err error) {
	r.began = time.Now()
	if r.source, err = copyPrivate(ctx, r.task.Source); err != nil {
		return err
	}
	r.laps.add(recovery.LapCopy, r.began, r.source.sizeBytes)
	return r.source.refuse(r.task.Source)
}

func (r *rebuilding) verify() error {
	if err := r.source.verify(r.task.Source); err != nil {
		return err
	}
	r.laps.add(recovery.LapHash, r.began, r.source.sizeBytes)
	return nil
}

func (r *rebuilding) askVersion(ctx context.Context) (err error) {
	r.made.Etcdutl = recovery.LinkedVersion()
	if r.task.Etcdutl != "" {
		r.made.Etcdutl, err = r.job.toolOf(r.task).version(ctx)
	}
	return err
}

// restoreCores has etcdutl restore every member from the core of the source. All get the same database, or it is not what this
// package takes etcdutl for.
func (r *rebuilding) restoreCores(ctx context.Context) error {
	start := time.Now()
	core := filepath.Join(filepath.Dir(r.task.Source.Copy), "core")
	if err := survived(func() error { return makeCore(ctx, r.source.path, core) }); err != nil {
		return blame(r.task.Source.Path, err)
	}
	r.laps.add(recovery.LapCore, start, 0)
	for i, member := range r.task.Members {
		restoration := restoration{task: r.task, member: member, source: core, bump: r.task.BumpRevision, quiet: i > 0}
		if err := r.job.etcdutl(ctx, &restoration); err != nil {
			return fmt.Errorf("etcdutl %s: member %s: %w", r.made.Etcdutl, member.Name, err)
		}
		if i == 0 {
			restoration.log.addTo(r.laps)
			r.made.ToolRSSBytes = restoration.peakRSS
			continue
		}
		if same, err := sameContent(databaseOf(r.task.Members[0]), databaseOf(member)); err != nil || !same {
			return errors.Join(fmt.Errorf("etcdutl %s: %w: %s and %s", r.made.Etcdutl, errUnlikeTwins, r.task.Members[0].Name, member.Name), err)
		}
	}
	return nil
}

// errUnlikeTwins means that etcdutl writes into databases what no etcdutl is known to write.
var errUnlikeTwins = errors.New("the databases that were made for two members of one plan differ")

// databaseOf is where the database of a member lies.
func databaseOf(member wire.MemberTask) string { return filepath.Join(member.DataDir, blob.DBFile) }

// merge makes the database of the first member out of the private copy and what etcdutl made of its core.
func (r *rebuilding) merge() error {
	start := time.Now()
	path, err := r.source.asDatabase()
	if err != nil {
		return err
	}
	database := databaseOf(r.task.Members[0])
	if err := mergeCore(database, path); err != nil {
		return fmt.Errorf("make database of member %s: %w", r.task.Members[0].Name, err)
	}
	if err := os.Rename(path, database); err != nil {
		return err
	}
	r.laps.add(recovery.LapMerge, start, 0)
	return nil
}

// finish puts on disk what was made for a member, and reads it back.
func (j *job) finish(member wire.MemberTask) (made wire.RebuiltMember, err error) {
	if err := syncTree(member.DataDir); err != nil {
		return made, err
	}
	start, err := readStart(databaseOf(member), &made)
	if err != nil {
		return made, err
	}
	return made, j.readIdentity(member.LogDir(), start, &made)
}

// applied is how far a database has applied a log.
type applied struct{ index, term uint64 }

// readStart reads from the new database with which revision and compaction point a server will begin on it, and how far it has
// applied its log.
func readStart(path string, made *wire.RebuiltMember) (start applied, err error) {
	err = viewDatabase(path, func(tx *bolt.Tx) (err error) {
		if made.Compacted, err = compactionPoint(tx); err != nil {
			return err
		}
		made.Revision = max(made.Compacted, 1)
		if last, _ := tx.Bucket(schema.Key.Name()).Cursor().Last(); last != nil {
			made.Revision = max(made.Revision, mvcc.BytesToRev(last).Main)
		}
		meta := tx.Bucket(schema.Meta.Name())
		for key, into := range map[string]*uint64{
			string(schema.MetaConsistentIndexKeyName): &start.index, string(schema.MetaTermKeyName): &start.term,
		} {
			if value := meta.Get([]byte(key)); len(value) == 8 {
				*into = binary.BigEndian.Uint64(value)
			}
		}
		return nil
	})
	if err != nil {
		return start, fmt.Errorf("read restored database: %w", err)
	}
	return start, nil
}

// syncTree puts all directory entries on disk, which etcdutl does for member/wal alone.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return blob.SyncDir(path)
	})
}

// readIdentity reads from the new log who the member will be: a server takes its IDs from there and from nowhere else. It holds
// the end of the log against the database, which is all that etcd's own verification does after a restore (server/verify/verify.go,
// validateConsistentIndex). That one walks the whole database once more, and looks for a log in the data directory only.
func (j *job) readIdentity(dir string, start applied, made *wire.RebuiltMember) error {
	log, err := wal.OpenForRead(j.lg, dir, &walpb.Snapshot{})
	if err != nil {
		return fmt.Errorf("open restored log: %w", err)
	}
	// A log that is open for reading has no handle of its folder, and Close calls that an invalid argument.
	defer func() { _ = log.Close() }()
	packed, state, _, err := log.ReadAll()
	if err != nil {
		return fmt.Errorf("read restored log: %w", err)
	}
	if start.index != state.GetCommit() || start.term != state.GetTerm() {
		return fmt.Errorf("read restored log: the database has applied entry %d of term %d, the log ends with %d of %d",
			start.index, start.term, state.GetCommit(), state.GetTerm())
	}
	var metadata etcdserverpb.Metadata
	if err := proto.Unmarshal(packed, &metadata); err != nil {
		return fmt.Errorf("read restored log: %w", err)
	}
	made.MemberID, made.ClusterID = identity.MemberID(metadata.GetNodeID()), identity.ClusterID(metadata.GetClusterID())
	return nil
}
