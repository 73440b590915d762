package recovery

import (
	"errors"
	"fmt"
)

// ErrBadBump means that a bump of the revision was asked for that etcdutl would do wrongly, without a word.
var ErrBadBump = errors.New("revision cannot be bumped like that")

// MaxRevision is the highest revision to which a bump may lead. etcd counts revisions in an int64, and etcdutl adds to it
// without looking (etcdutl/snapshot/v3_snapshot.go, modifyLatestRevision): a bump that goes over its end leads to a negative
// revision, one of 2^64-1 back by one. The bound lies far below that end, because writes and the bumps of later restores add
// to the revision for as long as the cluster lives and nothing ever lowers it. It is 2^53, up to which readers of JSON that
// hold numbers in a float64 still tell one revision from the next.
const MaxRevision = int64(1) << 53

// WithBump has the new cluster begin this many revisions beyond the source, which must be at least 1. It needs
// WithMarkCompacted beside it: what lies between was never written, and a client that reads or watches there must be told.
//
// A bump that passes the last revision that the lost cluster acknowledged by at least two keeps the promise that revisions
// never go back: a client that has seen revision L resumes its watch at L+1, and etcd refuses that only if it is below the
// compaction point (server/storage/mvcc/watcher_group.go, chooseAll).
func WithBump(revisions uint64) PlanOption {
	return func(o *planOptions) { o.bump, o.bumped = revisions, true }
}

// WithMarkCompacted has the new cluster take everything below the revision that WithBump leads to for compacted.
func WithMarkCompacted() PlanOption {
	return func(o *planOptions) { o.mark = true }
}

// CheckBump returns an error wrapping ErrBadBump if no plan can have these two settings, whatever the source is. Both absent
// is no bump and no error. etcdutl's library ignores one without the other.
func CheckBump(revisions uint64, markCompacted bool) error {
	switch {
	case revisions == 0 && !markCompacted:
		return nil
	case revisions == 0:
		return fmt.Errorf("%w: what is to be marked as compacted are the revisions of a bump, and there is none; bump by 1 or more",
			ErrBadBump)
	case !markCompacted:
		return fmt.Errorf("%w: by %d without marking what lies between as compacted; clients would wait there for ever; ask for both",
			ErrBadBump, revisions)
	case revisions > uint64(MaxRevision):
		return fmt.Errorf("%w: by %d; the highest revision to lead to is %d", ErrBadBump, revisions, MaxRevision)
	}
	return nil
}

// checkBump looks at what was asked for in the light of the source.
func (o planOptions) checkBump(src Source) error {
	if o.bumped && o.bump == 0 {
		return fmt.Errorf("%w: by 0; bump by 1 or more, or not at all", ErrBadBump)
	}
	return checkBumpOf(src, o.bump, o.mark)
}

func checkBumpOf(src Source, revisions uint64, mark bool) error {
	if err := CheckBump(revisions, mark); err != nil || revisions == 0 {
		return err
	}
	to := src.LastRecord + int64(revisions)
	switch {
	case src.LastRecord > MaxRevision || to > MaxRevision:
		return fmt.Errorf("%w: by %d from %d leads beyond %d; bump by less", ErrBadBump, revisions, src.LastRecord, MaxRevision)
	case to <= src.RestorePoint: // the last records were deletes that a compaction has removed
		return fmt.Errorf("%w: etcdutl counts from the last record, %d, and by %d does not get beyond the restore point %d; bump by more than %d",
			ErrBadBump, src.LastRecord, revisions, src.RestorePoint, src.RestorePoint-src.LastRecord)
	}
	return nil
}

// Revision predicts the revision that the members report when they start: the restore point, or what the bump leads to.
// etcdutl counts from the last record of the source.
func (p Plan) Revision() int64 {
	if p.BumpRevision == 0 {
		return p.Source.RestorePoint
	}
	return p.Source.LastRecord + int64(p.BumpRevision)
}

// Compacted predicts the members' compaction point: reads and watches below it are refused; 0 if there is none.
func (p Plan) Compacted() int64 {
	if p.BumpRevision == 0 {
		return p.Source.Compacted
	}
	return p.Revision()
}
