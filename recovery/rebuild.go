package recovery

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"google.golang.org/protobuf/proto"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// restore is the worker's part of Restore.
func (j *job) restore(ctx context.Context, task restoreTask) (*rebuilt, error) {
	start := time.Now()
	source, err := copySource(ctx, task.Source)
	if err != nil {
		return nil, err
	}
	made := &rebuilt{SHA256: source.sha256, Prepare: time.Since(start)}
	start = time.Now()
	if task.Etcdutl != "" {
		err = j.restoreByTool(ctx, source, task, made)
	} else {
		err = j.restoreByLibrary(source, task, made)
	}
	if err != nil {
		return nil, fmt.Errorf("etcdutl %s: %w", made.Etcdutl, err)
	}
	made.Restore = time.Since(start)
	if err := j.verifyApart(task); err != nil {
		return nil, fmt.Errorf("verify what etcdutl %s made: %w", made.Etcdutl, err)
	}
	if err := syncTree(task.DataDir); err != nil {
		return nil, err
	}
	if err := readStart(filepath.Join(task.DataDir, dbFile), made); err != nil {
		return nil, err
	}
	return made, j.readIdentity(task.logDir(), made)
}

func (j *job) restoreByLibrary(source *privateCopy, task restoreTask, made *rebuilt) error {
	made.Etcdutl = LinkedVersion()
	return caughtDeath("restore "+task.Name, survive(func() error {
		// A manager keeps what it does in its fields, so there is one for each restore.
		return snapshot.NewV3(j.lg).Restore(snapshot.RestoreConfig{
			SnapshotPath: source.path, Name: task.Name, OutputDataDir: task.DataDir,
			PeerURLs: []string{task.PeerURL}, InitialCluster: task.InitialCluster,
			InitialClusterToken: string(task.Token), SkipHashCheck: task.Source.SkipHashCheck, OutputWALDir: task.WALDir,
			RevisionBump: task.BumpRevision, MarkCompacted: task.BumpRevision > 0, // one is ignored without the other
		})
	}))
}

func (j *job) restoreByTool(ctx context.Context, source *privateCopy, task restoreTask, made *rebuilt) (err error) {
	program := tool{path: task.Etcdutl, stderr: j.stderr}
	if made.Etcdutl, err = program.version(ctx); err != nil {
		return err
	}
	made.ToolRSSBytes, err = program.restore(ctx, source.path, task)
	return err
}

// readStart reads from the new database with which revision and compaction point a server will begin on it.
func readStart(path string, made *rebuilt) error {
	err := viewDatabase(path, func(tx *bolt.Tx) (err error) {
		if made.Compacted, err = compactionPoint(tx); err != nil {
			return err
		}
		made.Revision = max(made.Compacted, 1)
		if last, _ := tx.Bucket(schema.Key.Name()).Cursor().Last(); last != nil {
			made.Revision = max(made.Revision, mvcc.BytesToRev(last).Main)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read restored database: %w", err)
	}
	return nil
}

// syncTree puts all directory entries on disk, which etcdutl does for member/wal alone.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return syncDir(path)
	})
}

// readIdentity reads from the new log who the member will be. A server takes its IDs from there and from nowhere else.
func (j *job) readIdentity(dir string, made *rebuilt) error {
	log, err := wal.OpenForRead(j.lg, dir, &walpb.Snapshot{})
	if err != nil {
		return fmt.Errorf("open restored log: %w", err)
	}
	// A log that is open for reading has no handle of its folder, and Close calls that an invalid argument.
	defer func() { _ = log.Close() }()
	packed, _, _, err := log.ReadAll()
	if err != nil {
		return fmt.Errorf("read restored log: %w", err)
	}
	var metadata etcdserverpb.Metadata
	if err := proto.Unmarshal(packed, &metadata); err != nil {
		return fmt.Errorf("read restored log: %w", err)
	}
	made.MemberID, made.ClusterID = identity.MemberID(metadata.GetNodeID()), identity.ClusterID(metadata.GetClusterID())
	return nil
}
