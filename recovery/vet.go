package recovery

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	task := vetTask{}
	for _, member := range r.Members {
		task.Dirs = append(task.Dirs, vetDir{Dir: member.Dir, WALDir: member.WALDir})
	}
	resp, err := w.run(ctx, "vet restored members", request{Vet: &task})
	if err == nil {
		err = resp.Failure.err()
	}
	if err == nil && len(resp.Vetted) != len(r.Members) {
		err = errors.New("the worker answered without a result")
	}
	if err != nil {
		return fmt.Errorf("vet restored members: %w", err)
	}
	for i, member := range r.Members {
		if err := r.Plan.judgeVetted(member.Name, resp.Vetted[i]); err != nil {
			errs = append(errs, fmt.Errorf("member %s: %w", member.Name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("vet restored members: %w", err)
	}
	return nil
}

// judgeVetted holds a directory against the plan.
func (p Plan) judgeVetted(name string, found Inspection) error {
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

// vet is the worker's part of Vet.
func (j *job) vet(ctx context.Context, task vetTask) ([]Inspection, error) {
	var all []Inspection
	for _, dir := range task.Dirs {
		found, err := j.glance(ctx, dir.Dir, dir.WALDir)
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	return all, nil
}

// glance is a brief Inspect of a directory that is this program's own: in place, and without a look at any record.
func (j *job) glance(ctx context.Context, dir, walDir string) (Inspection, error) {
	at, err := locate(dir, walDir)
	if err != nil {
		return Inspection{}, err
	}
	found := Inspection{Path: dir, Form: at.form}
	var proof evidence
	if at.db != "" {
		info, err := os.Stat(at.db)
		if err != nil {
			return Inspection{}, err
		}
		db := &Database{Path: at.db, Kind: kindOf(info.Size()), Hash: HashNotApplicable, SizeBytes: info.Size()}
		db.ImageBytes = imageBytes(at.db, db.SizeBytes)
		found.Database = db
		if db.Kind == DBCopy {
			content := &Content{}
			err = blame(at.db, viewDatabase(at.db, content.readBrief))
			if !errors.As(err, &proof.dbFault) && err != nil {
				return Inspection{}, err
			}
			db.Content = content
		}
	}
	if at.wal != "" {
		scan := &logScan{log: Log{Dir: at.wal}}
		if found.Database != nil && found.Database.Content != nil {
			scan.applied = found.Database.Content.ConsistentIndex
		}
		err := scan.read(ctx, at.wal)
		if !errors.As(err, &proof.logFault) && err != nil {
			return Inspection{}, err
		}
		found.Log = scan.result()
	}
	found.Findings = diagnose(found, at, proof)
	return found, nil
}
