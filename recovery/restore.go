package recovery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

var (
	// ErrMixedSources means that members were about to be restored from files that differ. etcd would not notice: the raft
	// logs that etcdutl writes are alike whatever is in the databases.
	ErrMixedSources = errors.New("members have different sources")
	// ErrWrongIdentity means that a restored member is not who the plan says.
	ErrWrongIdentity = errors.New("restored member has another identity than planned")
	// ErrWrongRevision means that a restored member would begin at another revision, or with another compaction point, than the
	// plan says.
	ErrWrongRevision = errors.New("restored member begins at another revision than planned")
)

// Restored is what Restore made.
type Restored struct {
	Plan    Plan             `json:"plan"`
	Members []RestoredMember `json:"members"` // in the order of the plan
	// Etcdutl is the version of what restored them: the plan's own etcdutl, or the library that workers are linked with.
	Etcdutl string        `json:"etcdutl"`
	Took    time.Duration `json:"took"`
}

// RestoredMember is one member's part of Restored.
type RestoredMember struct {
	Name string `json:"name"`
	Dir  string `json:"dir"` // the data directory, ready for harness.Disk.Adopt
	// WALDir is where the write-ahead log lies if it was kept apart, in Dir; empty for its usual place.
	WALDir string `json:"walDir,omitempty"`
	// SHA256 is the digest of the private copy that the member was restored from.
	SHA256 string `json:"sha256"`
	// Prepare is the time that the worker took for its own copy and digest of the source, which a person would not make;
	// Took is that of etcdutl's restore alone.
	Prepare      time.Duration `json:"prepare"`
	Took         time.Duration `json:"took"`
	PeakRSSBytes int64         `json:"peakRSSBytes"` // 0 where it is not known
}

// Dirs returns the data directory of every member by its name.
func (r Restored) Dirs() map[string]string {
	dirs := make(map[string]string, len(r.Members))
	for _, member := range r.Members {
		dirs[member.Name] = member.Dir
	}
	return dirs
}

// Restore prepares the data directories of all members of the plan at once, one worker process each, as scratch/NAME. Each
// is made in a staging folder, with etcd's own verification switched on, and gets its name when all have succeeded and are
// who the plan says. It needs room for the source twice and for 128 MB of log, per member; that, and whether the targets can be
// made, is looked at before anything is done, see Target.
//
// The first failure ends the others. After a failure, or when the context ends, every worker is dead and scratch is as it was
// before. A source that is not the one that was checked is an error wrapping ErrSourceChanged, and ErrMixedSources if
// members would have got different ones.
func Restore(ctx context.Context, w Worker, p Plan, scratch string) (Restored, error) {
	if err := checkBumpOf(p.Source, p.BumpRevision, p.MarkCompacted); err != nil { // a plan is a value that anybody can change
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	if err := p.checkMembers(); err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	scratch, err := filepath.Abs(scratch)
	if err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	if err := p.checkTargets(scratch); err != nil {
		return Restored{}, err
	}
	run := &restoreRun{worker: w, plan: p, scratch: scratch, parts: make([]restorePart, len(p.Members))}
	return run.do(ctx)
}

// restoreRun is one call of Restore.
type restoreRun struct {
	worker  Worker
	plan    Plan
	scratch string
	parts   []restorePart
}

// do restores without looking first whether that can go well.
func (r *restoreRun) do(ctx context.Context) (restored Restored, err error) {
	start := time.Now()
	defer func() { err = joinCleanup(err, r.removeStaging()) }()
	if err := r.build(ctx); err != nil {
		return Restored{}, err
	}
	restored = Restored{Plan: r.plan, Etcdutl: r.parts[0].made.Etcdutl}
	for i, part := range r.parts {
		member := r.plan.Members[i]
		dir := filepath.Join(r.scratch, member.Name)
		restored.Members = append(restored.Members, RestoredMember{
			Name: member.Name, Dir: dir, WALDir: member.walIn(dir), SHA256: part.made.SHA256,
			Prepare: part.made.Prepare, Took: part.made.Restore, PeakRSSBytes: part.peakRSS,
		})
	}
	if err := r.publish(ctx, restored.Members); err != nil {
		return Restored{}, err
	}
	restored.Took = time.Since(start)
	return restored, nil
}

// restorePart is one member's part of a restoreRun, written by one goroutine.
type restorePart struct {
	staging string // the folder of the attempt; holds the private source and the data directory
	made    rebuilt
	peakRSS int64
	digest  string // of the source that this member found; empty if it did not come that far
	err     error
}

// build runs all workers and waits for all of them.
func (r *restoreRun) build(ctx context.Context) error {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	for i := range r.parts {
		group.Go(func() {
			if r.parts[i].err = r.buildMember(ctx, i); r.parts[i].err != nil {
				cancel()
			}
		})
	}
	group.Wait()
	if errors.Is(outer.Err(), context.Canceled) {
		return fmt.Errorf("restore: %w", context.Cause(outer))
	}
	err := r.judge()
	if err == nil && outer.Err() != nil {
		err = fmt.Errorf("restore: %w", context.Cause(outer))
	}
	return err
}

func (r *restoreRun) buildMember(ctx context.Context, i int) error {
	member, part := r.plan.Members[i], &r.parts[i]
	staging, err := os.MkdirTemp(r.scratch, member.Name+".staging-*")
	if err != nil {
		return err
	}
	part.staging = staging
	dataDir := filepath.Join(staging, "data")
	resp, err := r.worker.run(ctx, "restore "+member.Name, request{Restore: &restoreTask{
		Source: copyTask{
			Kind: r.plan.Source.Kind, Path: r.plan.Source.Path, Copy: filepath.Join(staging, "source"),
			SHA256: r.plan.Source.SHA256, SkipHashCheck: r.plan.SkipHashCheck,
		},
		Name: member.Name, PeerURL: member.PeerURL, InitialCluster: member.InitialCluster,
		Token: r.plan.Layout.Token, DataDir: dataDir, WALDir: member.walIn(dataDir), Etcdutl: r.worker.Etcdutl,
		BumpRevision: r.plan.BumpRevision,
	}})
	if err != nil {
		return err
	}
	if resp.Failure != nil {
		part.digest = resp.Failure.SHA256
		return resp.Failure.err()
	}
	if resp.Restored == nil {
		return errors.New("the worker answered without a result")
	}
	part.made, part.peakRSS, part.digest = *resp.Restored, resp.PeakRSSBytes, resp.Restored.SHA256
	if part.made.MemberID != member.MemberID || part.made.ClusterID != r.plan.ClusterID {
		return fmt.Errorf("%w: member %s of cluster %s, planned %s of %s", ErrWrongIdentity,
			part.made.MemberID, part.made.ClusterID, member.MemberID, r.plan.ClusterID)
	}
	if r.worker.Etcdutl != "" && r.plan.Version != "" && minorOf(part.made.Etcdutl) != minorOf(r.plan.Version) {
		return fmt.Errorf("%w: %s is etcdutl %s, the plan is for etcd %s", ErrWrongTool,
			r.worker.Etcdutl, part.made.Etcdutl, r.plan.Version)
	}
	if part.made.Revision != r.plan.Revision() || part.made.Compacted != r.plan.Compacted() {
		return fmt.Errorf("%w: at %d, compacted at %d; planned %d and %d", ErrWrongRevision,
			part.made.Revision, part.made.Compacted, r.plan.Revision(), r.plan.Compacted())
	}
	return nil
}

// judge makes one error of what became of the members. Those that were only ended because of another one are left out.
func (r *restoreRun) judge() error {
	var errs []error
	digests := map[string]string{}
	for i, part := range r.parts {
		if part.digest != "" {
			digests[part.digest] = r.plan.Members[i].Name
		}
		if part.err != nil && !errors.Is(part.err, context.Canceled) {
			errs = append(errs, fmt.Errorf("restore member %s: %w", r.plan.Members[i].Name, part.err))
		}
	}
	if len(digests) > 1 {
		errs = append(errs, fmt.Errorf("restore: %w: %v", ErrMixedSources, digests))
	}
	if _, planned := digests[r.plan.Source.SHA256]; !planned && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("restore: %w", ErrSourceChanged))
	}
	return errors.Join(errs...)
}

// publish gives every data directory its name, or none.
func (r *restoreRun) publish(ctx context.Context, members []RestoredMember) error {
	var err error
	named := 0
	for err == nil && named < len(members) {
		if err = ctx.Err(); err == nil {
			err = os.Rename(filepath.Join(r.parts[named].staging, "data"), members[named].Dir)
		}
		if err == nil {
			named++
		}
	}
	if err == nil {
		err = syncDir(r.scratch)
	}
	if err == nil {
		return nil
	}
	for _, member := range members[:named] {
		err = joinCleanup(err, os.RemoveAll(member.Dir))
	}
	return fmt.Errorf("restore: name the data directories: %w", err)
}

func (r *restoreRun) removeStaging() error {
	var errs []error
	for _, part := range r.parts {
		if part.staging != "" {
			errs = append(errs, os.RemoveAll(part.staging))
		}
	}
	return errors.Join(errs...)
}
