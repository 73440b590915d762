package recovery

import (
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// check is the worker's part of Check.
func (j *job) check(ctx context.Context, task checkTask) (*Source, error) {
	c, err := copySource(ctx, task.Source)
	if err != nil {
		return nil, err
	}
	path, err := c.asDatabase()
	if err != nil {
		return nil, err
	}
	source := &Source{
		Kind: c.kind, Path: task.Source.Path, SizeBytes: c.sizeBytes, SHA256: c.sha256, Warnings: c.warnings,
	}
	err = viewDatabase(path, func(tx *bolt.Tx) error {
		if err := checkPages(tx); err != nil {
			return err
		}
		return j.describe(ctx, tx, source)
	})
	if err != nil {
		return nil, blame(task.Source.Path, err)
	}
	return source, nil
}

// viewDatabase opens a private copy read-only. Nothing is written, so a panic is the content's fault.
func viewDatabase(path string, view func(*bolt.Tx) error) error {
	err := survive(func() error {
		db, err := bolt.Open(path, 0o400, &bolt.Options{ReadOnly: true})
		if err != nil {
			return fmt.Errorf("%w: open: %w", ErrBadStructure, err)
		}
		return errors.Join(db.View(view), db.Close())
	})
	if errors.Is(err, errPanicked) {
		return fmt.Errorf("%w: %w", ErrBadStructure, err)
	}
	return err
}

// blame makes a SourceError of what was found inside a source; other errors, such as a full disk, stay what they are.
func blame(path string, err error) error {
	if !errors.Is(err, ErrBadStructure) {
		return err
	}
	return &SourceError{Path: path, Fault: ErrBadStructure, Cause: err}
}

// maxPageFaults bounds how many faults of pages an error lists; the others are counted.
const maxPageFaults = 3

// checkPages runs bbolt's own check of every page. It runs in a goroutine of bbolt, where a fault ends the process.
func checkPages(tx *bolt.Tx) error {
	var listed []error
	count := 0
	for fault := range tx.Check() { // must be drained, or bbolt's goroutine never ends
		if count++; count <= maxPageFaults {
			listed = append(listed, fault)
		}
	}
	if count == 0 {
		return nil
	}
	return fmt.Errorf("%w: bbolt found %d faults in its pages, first: %w", ErrBadStructure, count, errors.Join(listed...))
}

// describe fills in what the content of the database says.
func (j *job) describe(ctx context.Context, tx *bolt.Tx, source *Source) error {
	live := map[string]struct{}{}
	err := forEachRecord(ctx, tx, func(r rawRecord) error {
		source.Records++
		source.LastRecord = max(source.LastRecord, r.rev.Main)
		switch {
		case r.tombstone:
			delete(live, string(r.kv.Key))
		case len(r.kv.Key) > 0: // a record without a key is the placeholder of a bumped revision
			live[string(r.kv.Key)] = struct{}{}
		}
		return nil
	})
	if err != nil {
		return err
	}
	source.Keys = int64(len(live))
	if source.Compacted, err = compactionPoint(tx); err != nil {
		return err
	}
	source.RestorePoint = max(source.LastRecord, source.Compacted, 1)
	if version := schema.ReadStorageVersionFromSnapshot(tx); version != nil {
		source.StorageVersion = version.String()
	}
	source.MemberIDs, err = membersOf(tx)
	return err
}

// compactionPoint returns the higher of the finished and the scheduled compaction; 0 if there was none.
func compactionPoint(tx *bolt.Tx) (int64, error) {
	meta := tx.Bucket(schema.Meta.Name())
	if meta == nil {
		return 0, fmt.Errorf("%w: no bucket %q, so this is no backend of etcd", ErrBadStructure, schema.Meta.Name())
	}
	var point int64
	for _, name := range [][]byte{schema.FinishedCompactKeyName, schema.ScheduledCompactKeyName} {
		stored := meta.Get(name)
		if stored == nil {
			continue
		}
		point = max(point, mvcc.BytesToRev(stored).Main) // panics on nonsense, see survive
	}
	return point, nil
}

// membersOf reads the members' IDs, which are the keys of their bucket, in hexadecimal.
func membersOf(tx *bolt.Tx) ([]identity.MemberID, error) {
	bucket := tx.Bucket(schema.Members.Name())
	if bucket == nil {
		return nil, nil
	}
	var ids []identity.MemberID
	err := bucket.ForEach(func(key, _ []byte) error {
		var id identity.MemberID
		if err := id.UnmarshalText(key); err != nil {
			return fmt.Errorf("%w: bucket %q: %w", ErrBadStructure, schema.Members.Name(), err)
		}
		ids = append(ids, id)
		return nil
	})
	return ids, err
}
