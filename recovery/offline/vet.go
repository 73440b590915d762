package offline

import (
	"context"
	"errors"
	"fmt"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// ErrHalfRestored means that a directory is not what a completed restore leaves: etcd might start on it all the same, and no
// member must.
var ErrHalfRestored = errors.New("directory is not a completed restore")

// Vet looks at what Restore made once more, right before members start on it: that all members come from the source of the
// plan (ErrMixedSources otherwise), that every directory is a completed restore on which nobody has run yet (ErrHalfRestored),
// and that its log is that of the planned member (ErrWrongIdentity). A directory may have been put together by hand, and etcd
// itself checks none of this. It is cheap: no record is read, and one worker looks at all members, in place and without writing.
func Vet(ctx context.Context, w Worker, r Restored) error {
	var errs []error
	for _, member := range r.Members {
		if member.SHA256 != r.Plan.Source.SHA256 {
			errs = append(errs, fmt.Errorf("member %s: %w: it has a file with SHA-256 %s, the plan's has %s",
				member.Name, ErrMixedSources, member.SHA256, r.Plan.Source.SHA256))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("vet restored members: %w; restore every member from one source", err)
	}
	task := wire.VetTask{}
	for _, member := range r.Members {
		task.Dirs = append(task.Dirs, wire.VetDir{Dir: member.Dir, WALDir: member.WALDir})
	}
	resp, err := w.run(ctx, "vet restored members", wire.Request{Vet: &task})
	if err == nil {
		err = resp.Failure.Err()
	}
	if err == nil && len(resp.Vetted) != len(r.Members) {
		err = errors.New("the worker answered without a result")
	}
	if err != nil {
		return fmt.Errorf("vet restored members: %w", err)
	}
	for i, member := range r.Members {
		if err := judgeVetted(r.Plan, member.Name, resp.Vetted[i]); err != nil {
			errs = append(errs, fmt.Errorf("member %s: %w", member.Name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("vet restored members: %w", err)
	}
	return nil
}

// judgeVetted holds a directory against the plan.
func judgeVetted(p recovery.Plan, name string, found recovery.Inspection) error {
	if !found.Sound() {
		return fmt.Errorf("%w: %s: %s", ErrHalfRestored, found.Findings[0].Name, found.Findings[0].Text)
	}
	if found.Database == nil || found.Database.Content == nil || found.Log == nil {
		return fmt.Errorf("%w: %s holds no database and log", ErrHalfRestored, found.Path)
	}
	log, applied := found.Log, found.Database.Content.ConsistentIndex
	if !log.Bootstrap || applied != log.Last || log.Commit != log.Last {
		return fmt.Errorf("%w: its log holds entries up to %d, %d are committed and %d applied, so a member has run on it",
			ErrHalfRestored, log.Last, log.Commit, applied)
	}
	for _, member := range p.Members {
		if member.Name == name && (member.MemberID != log.MemberID || p.ClusterID != log.ClusterID) {
			return fmt.Errorf("%w: member %s of cluster %s, planned %s of %s", ErrWrongIdentity,
				log.MemberID, log.ClusterID, member.MemberID, p.ClusterID)
		}
	}
	return nil
}
