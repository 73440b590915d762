package serve

import (
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"go.etcd.io/etcd/server/v3/storage/schema"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// UnseenChange is the warning of a manifest that no hash stands behind.
const UnseenChange = "no hash was verified: a changed value is not detectable without a manifest of what was written"

// check is the worker's part of offline.Check. It reads the copy while its hash is still being computed; if both are bad, the hash is the
// reason that is told.
func (j *job) check(ctx context.Context, task wire.CheckTask) (*recovery.Source, error) {
	c, err := copyPrivate(ctx, task.Source)
	if err != nil {
		return nil, err
	}
	if err := c.refuse(task.Source); err != nil {
		return nil, err
	}
	verified := make(chan error, 1)
	go func() { verified <- c.verify(task.Source) }()
	source := &recovery.Source{
		Kind: c.kind, Path: task.Source.Path, SizeBytes: c.sizeBytes, Warnings: c.warnings,
		HashSkipped: task.Source.SkipHashCheck && c.kind == recovery.SavedSnapshot,
	}
	if source.Kind == recovery.DBCopy || source.HashSkipped {
		source.Warnings = append(source.Warnings, UnseenChange)
	}
	err = blob.CheckPages(ctx, c.path)
	if err == nil {
		err = viewDatabase(c.path, func(tx *bolt.Tx) error { return j.describe(ctx, tx, source) })
	}
	if err := <-verified; err != nil {
		return nil, err
	}
	source.SHA256 = c.sha256
	if err != nil {
		return nil, blame(task.Source.Path, err)
	}
	return source, nil
}

// viewDatabase opens a private copy read-only. Nothing is written, so a panic is the content's fault.
func viewDatabase(path string, view func(*bolt.Tx) error) error {
	return survived(func() error {
		db, err := bolt.Open(path, 0o400, &bolt.Options{ReadOnly: true})
		if err != nil {
			return fmt.Errorf("%w: open: %w", recovery.ErrBadStructure, err)
		}
		return errors.Join(db.View(view), db.Close())
	})
}

// survived is survive where the source is only read, so that a panic is the content's fault.
func survived(read func() error) error {
	err := survive(read)
	if errors.Is(err, errPanicked) {
		return fmt.Errorf("%w: %w", recovery.ErrBadStructure, err)
	}
	return err
}

// blame makes a recovery.SourceError of what was found inside a source; other errors, such as a full disk, stay what they are.
func blame(path string, err error) error {
	if !errors.Is(err, recovery.ErrBadStructure) {
		return err
	}
	return &recovery.SourceError{Path: path, Fault: recovery.ErrBadStructure, Cause: err}
}

// describe fills in what the content of the database says.
func (j *job) describe(ctx context.Context, tx *bolt.Tx, source *recovery.Source) error {
	finished, scheduled, err := compactions(tx)
	if err != nil {
		return err
	}
	var found surveyed
	var keys int64
	if finished == scheduled {
		count := liveCount{finished: finished}
		found, err = walkRecords(ctx, tx, count.take)
		keys = max(count.live, 0)
	} else { // a compaction that was cut short may have taken any part of what it was to take
		found, err = surveyRecords(ctx, tx)
		keys = int64(len(found.live))
	}
	if err != nil {
		return err
	}
	var brief recovery.Content
	if err := errors.Join(readBrief(&brief, tx), readAlarms(&brief, tx)); err != nil {
		return err
	}
	readAuth(&brief, tx)
	source.Compacted = max(brief.FinishedCompaction, brief.ScheduledCompaction)
	source.StorageVersion, source.ClusterVersion = brief.StorageVersion, brief.ClusterVersion
	source.AuthEnabled, source.Alarms = brief.Auth.Enabled, brief.Alarms
	source.Records, source.Keys = found.records, keys
	source.LastRecord = found.last
	if found.gap > 0 {
		source.Warnings = append(source.Warnings, fmt.Sprintf("revision %d, above the compaction point, has no record; etcd leaves none out: "+
			"the file was copied while it was written to, or was made by other hands", found.gap))
	}
	source.RestorePoint = max(source.LastRecord, source.Compacted, 1)
	for _, member := range brief.Members {
		source.MemberIDs = append(source.MemberIDs, member.ID)
	}
	return nil
}

// surveyed is what a walk over all records yields.
type surveyed struct {
	records int64
	last    int64            // the greatest main revision; 0 if there is no record
	gap     int64            // the first revision above the compaction point that has no record, although a later one has; 0 if none
	live    map[string]int64 // the lease of every live key, 0 for none; of surveyRecords only
}

func surveyRecords(ctx context.Context, tx *bolt.Tx) (surveyed, error) {
	live := map[string]int64{}
	found, err := walkRecords(ctx, tx, func(r rawRecord) {
		switch {
		case r.tombstone:
			delete(live, string(r.kv.Key))
		case len(r.kv.Key) > 0: // a record without a key is the placeholder of a bumped revision
			live[string(r.kv.Key)] = r.kv.Lease
		}
	})
	found.live = live
	return found, err
}

// liveCount counts the keys that are there, without knowing them: at the compaction point there is one for each put that the
// compaction has left, and from then on one more for each first version and one less for each tombstone.
type liveCount struct{ finished, live int64 }

func (c *liveCount) take(r rawRecord) {
	switch {
	case len(r.kv.Key) == 0: // the placeholder of a bumped revision
	case r.rev.Main > c.finished && r.tombstone:
		c.live--
	case r.rev.Main <= c.finished && !r.tombstone, r.rev.Main > c.finished && r.kv.Version == 1:
		c.live++
	}
}

// walkRecords visits all records, and counts them.
func walkRecords(ctx context.Context, tx *bolt.Tx, visit func(rawRecord)) (surveyed, error) {
	var found surveyed
	compacted, err := compactionPoint(tx)
	if err != nil {
		return found, err
	}
	due := max(compacted, 1) + 1 // etcd's store begins with revision 1, which no record has
	err = forEachRecord(ctx, tx, func(r rawRecord) error {
		found.records++
		if found.gap == 0 && r.rev.Main > due {
			found.gap = due
		}
		due = max(due, r.rev.Main+1)
		found.last = max(found.last, r.rev.Main)
		visit(r)
		return nil
	})
	return found, err
}

// compactions returns the revisions of the finished and of the scheduled compaction; 0 where there was none.
func compactions(tx *bolt.Tx) (finished, scheduled int64, err error) {
	meta := tx.Bucket(schema.Meta.Name())
	if meta == nil {
		return 0, 0, fmt.Errorf("%w: no bucket %q, so this is no backend of etcd", recovery.ErrBadStructure, schema.Meta.Name())
	}
	at := func(name []byte) int64 {
		stored := meta.Get(name)
		if stored == nil {
			return 0
		}
		return mvcc.BytesToRev(stored).Main // panics on nonsense, see survive
	}
	return at(schema.FinishedCompactKeyName), at(schema.ScheduledCompactKeyName), nil
}

// compactionPoint returns the higher of the two, see recovery.Source.Compacted.
func compactionPoint(tx *bolt.Tx) (int64, error) {
	finished, scheduled, err := compactions(tx)
	return max(finished, scheduled), err
}
