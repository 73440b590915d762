package offline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
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
	// ErrWrongTool means that a member was restored by an etcdutl of another minor than the plan's version.
	ErrWrongTool = errors.New("etcdutl is of another version than the plan")
)

// Restored is what Restore made.
type Restored struct {
	Plan    recovery.Plan    `json:"plan"`
	Members []RestoredMember `json:"members"` // in the order of the plan
	// Etcdutl is the version of what restored them: the plan's own etcdutl, or the library that workers are linked with.
	Etcdutl string        `json:"etcdutl"`
	Took    time.Duration `json:"took"`
	// Laps are what was done in that time, in the order of their starts; they may overlap. A restore that is done member by member
	// has them all for each.
	Laps []recovery.Lap `json:"laps,omitempty"`
}

// RestoredMember is one member's part of Restored.
type RestoredMember struct {
	Name string `json:"name"`
	Dir  string `json:"dir"` // the data directory, ready for harness.Disk.Adopt
	// WALDir is where the write-ahead log lies if it was kept apart, in Dir; empty for its usual place.
	WALDir string `json:"walDir,omitempty"`
	// SHA256 is the digest of the private copy that the member was restored from.
	SHA256 string `json:"sha256"`
	// PeakRSSBytes is the most memory that the worker which restored it had resident, mapped pages of files included; 0 where it
	// is not known.
	PeakRSSBytes int64 `json:"peakRSSBytes"`
}

// Dirs returns the data directory of every member by its name.
func (r Restored) Dirs() map[string]string {
	dirs := make(map[string]string, len(r.Members))
	for _, member := range r.Members {
		dirs[member.Name] = member.Dir
	}
	return dirs
}

// RestoreOption changes how Restore goes about it, and not what it makes.
type RestoreOption func(*restoreRun)

// OneByOne has the members restored one after the other, each by a worker of its own from its own copy of the source, as a
// person does who goes from machine to machine.
func OneByOne() RestoreOption {
	return func(r *restoreRun) { r.oneByOne = true }
}

// FromCopy has the members restored from a copy of the source that Check has kept, see KeepCopy, in the place of one that is made now.
// Its digest must be that of the source, which is not read again; the copy becomes the first member's database, and is gone
// whatever comes of the restore. It does not go with OneByOne.
func FromCopy(path string) RestoreOption {
	return func(r *restoreRun) { r.kept = path }
}

// Restore prepares the data directories of all members of the plan, as scratch/NAME, in a worker process. It copies the source
// once, checks the hash of that copy, and has etcdutl restore the first member from it. The others get logs that etcdutl makes
// for them and a copy of the database of the first, which would be the same: etcdutl writes nothing into it that tells members apart.
//
// Each is made in a staging folder and gets its name when all have succeeded and are who the plan says. It needs room for the
// source once per member, at least twice, and for 128 MB of log per member; that, and whether the targets can be made, is looked
// at before anything is done, see Target.
//
// After a failure, or when the context ends, every worker is dead and scratch is as it was before. A source that is not the one
// that was checked is an error wrapping recovery.ErrSourceChanged, and ErrMixedSources if members would have got different ones.
func Restore(ctx context.Context, w Worker, p recovery.Plan, scratch string, opts ...RestoreOption) (Restored, error) {
	if err := p.Check(); err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	scratch, err := filepath.Abs(scratch)
	if err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	run := &restoreRun{worker: w, plan: p, scratch: scratch}
	for _, opt := range opts {
		opt(run)
	}
	if run.kept != "" && run.oneByOne {
		return Restored{}, errors.New("restore: a copy that is kept is one, and members that are restored one by one need one each")
	}
	if err := checkTargets(p, scratch, run.kept != ""); err != nil {
		return Restored{}, err
	}
	return run.do(ctx)
}

// restoreRun is one call of Restore.
type restoreRun struct {
	worker   Worker
	plan     recovery.Plan
	scratch  string
	oneByOne bool
	kept     string        // a copy of the source; empty to make one
	parts    []restorePart // one for each member
	laps     []recovery.Lap
	etcdutl  string
}

// do restores without looking first whether that can go well.
func (r *restoreRun) do(ctx context.Context) (restored Restored, err error) {
	start := time.Now()
	r.parts = make([]restorePart, len(r.plan.Members))
	defer func() { err = blob.JoinCleanup(err, r.removeStaging()) }()
	if err := r.build(ctx); err != nil {
		return Restored{}, err
	}
	restored = Restored{Plan: r.plan, Etcdutl: r.etcdutl}
	for i, part := range r.parts {
		member := r.plan.Members[i]
		dir := filepath.Join(r.scratch, member.Name)
		restored.Members = append(restored.Members, RestoredMember{
			Name: member.Name, Dir: dir, WALDir: walIn(member, dir), SHA256: part.digest, PeakRSSBytes: part.peakRSS,
		})
	}
	naming := time.Now()
	if err := r.publish(ctx, restored.Members); err != nil {
		return Restored{}, err
	}
	restored.Laps = append(r.laps, recovery.Lap{Name: recovery.LapRename, Start: naming, Took: time.Since(naming)})
	restored.Took = time.Since(start)
	return restored, nil
}

// restorePart is one member's part of a restoreRun.
type restorePart struct {
	staging string // the folder of the attempt
	peakRSS int64
	digest  string // of the source that this member found; empty if it did not come that far
	err     error
}

// build runs the workers: one for all members, or one after the other for each.
func (r *restoreRun) build(ctx context.Context) error {
	step := len(r.parts)
	if r.oneByOne {
		step = 1
	}
	for from := 0; from < len(r.parts); from += step {
		if err := r.buildMembers(ctx, from, from+step); err != nil {
			r.parts[from].err = err
			break
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("restore: %w", context.Cause(ctx))
	}
	err := r.judge()
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("restore: %w", context.Cause(ctx))
	}
	return err
}

// buildMembers has a worker restore the members from this one up to that one, which is left out.
func (r *restoreRun) buildMembers(ctx context.Context, from, to int) error {
	task, err := r.taskOf(from, to)
	if err != nil {
		return err
	}
	resp, err := r.worker.run(ctx, "restore "+memberNames(r.plan.Members[from:to]), wire.Request{Restore: &task})
	if err == nil {
		err = resp.Failure.Err()
	}
	if err != nil {
		if resp.Failure != nil {
			r.parts[from].digest = resp.Failure.SHA256
		}
		return r.explain(ctx, err, &r.parts[from])
	}
	made := resp.Restored
	if made == nil || len(made.Members) != to-from {
		return errors.New("the worker answered without a result")
	}
	if r.worker.Etcdutl != "" && r.plan.Version != "" && !recovery.SameMinor(made.Etcdutl, r.plan.Version) {
		return fmt.Errorf("%w: %s is etcdutl %s, the plan is for etcd %s", ErrWrongTool, r.worker.Etcdutl, made.Etcdutl, r.plan.Version)
	}
	r.etcdutl, r.laps = made.Etcdutl, append(r.laps, made.Laps...)
	for i, member := range made.Members {
		r.parts[from+i].digest, r.parts[from+i].peakRSS = made.SHA256, resp.PeakRSSBytes
		if err := judgeRebuilt(r.plan, r.plan.Members[from+i], member); err != nil {
			return err
		}
	}
	return nil
}

// taskOf makes a staging folder for each of these members and says what is to be done in them. The private copy of the source
// lies in the first.
func (r *restoreRun) taskOf(from, to int) (wire.RestoreTask, error) {
	task := wire.RestoreTask{
		Source: wire.CopyTask{
			Kind: r.plan.Source.Kind, Path: r.plan.Source.Path, SHA256: r.plan.Source.SHA256, SkipHashCheck: r.plan.SkipHashCheck,
		},
		InitialCluster: r.plan.Layout.InitialCluster(), Token: r.plan.Layout.Token, Etcdutl: r.worker.Etcdutl,
		BumpRevision: r.plan.BumpRevision,
	}
	for i := from; i < to; i++ {
		member := r.plan.Members[i]
		staging, err := os.MkdirTemp(r.scratch, member.Name+".staging-*")
		if err != nil {
			return wire.RestoreTask{}, err
		}
		r.parts[i].staging = staging
		dataDir := filepath.Join(staging, "data")
		task.Members = append(task.Members, wire.MemberTask{
			Name: member.Name, PeerURL: member.PeerURL, DataDir: dataDir, WALDir: walIn(member, dataDir),
		})
	}
	task.Source.Copy = filepath.Join(r.parts[from].staging, "source")
	if r.kept == "" {
		return task, nil
	}
	task.Source.Copied = true
	return task, os.Rename(r.kept, task.Source.Copy)
}

// walIn is where the member's log lies in this data directory if it is kept apart; empty if not.
func walIn(m recovery.MemberPlan, dataDir string) string {
	if m.WALDir == "" {
		return ""
	}
	return filepath.Join(dataDir, harness.WALName)
}

func memberNames(members []recovery.MemberPlan) string {
	names := make([]string, 0, len(members))
	for _, member := range members {
		names = append(names, member.Name)
	}
	return strings.Join(names, ", ")
}

// explain looks at the source once more if the worker died of what it read: it began to read before the hash was checked to the
// end, and the hash knows the reason.
func (r *restoreRun) explain(ctx context.Context, err error, part *restorePart) error {
	var death *recovery.WorkerError
	if !errors.As(err, &death) || !death.BlamesFile() {
		return err
	}
	source := r.plan.Source
	task := wire.CopyTask{Kind: source.Kind, Path: source.Path, SHA256: source.SHA256, SkipHashCheck: r.plan.SkipHashCheck}
	resp, asked := r.worker.run(ctx, "verify "+source.Path, wire.Request{Verify: &task})
	if asked != nil || resp.Failure == nil {
		return err
	}
	part.digest = resp.Failure.SHA256
	return resp.Failure.Err()
}

// judgeRebuilt holds what was made of a member against the plan.
func judgeRebuilt(p recovery.Plan, member recovery.MemberPlan, made wire.RebuiltMember) error {
	if made.MemberID != member.MemberID || made.ClusterID != p.ClusterID {
		return fmt.Errorf("%w: member %s of cluster %s, planned %s of %s", ErrWrongIdentity,
			made.MemberID, made.ClusterID, member.MemberID, p.ClusterID)
	}
	if made.Revision != p.Revision() || made.Compacted != p.Compacted() {
		return fmt.Errorf("%w: at %d, compacted at %d; planned %d and %d", ErrWrongRevision,
			made.Revision, made.Compacted, p.Revision(), p.Compacted())
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
			errs = append(errs, fmt.Errorf("restore %s: %w", r.built(i), part.err))
		}
	}
	if len(digests) > 1 {
		errs = append(errs, fmt.Errorf("restore: %w: %v", ErrMixedSources, digests))
	}
	if _, planned := digests[r.plan.Source.SHA256]; !planned && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("restore: %w", recovery.ErrSourceChanged))
	}
	return errors.Join(errs...)
}

// built names those who were to be restored together with this member.
func (r *restoreRun) built(i int) string {
	if r.oneByOne || len(r.plan.Members) == 1 {
		return "member " + r.plan.Members[i].Name
	}
	return "members " + memberNames(r.plan.Members)
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
		err = blob.SyncDir(r.scratch)
	}
	if err == nil {
		return nil
	}
	for _, member := range members[:named] {
		err = blob.JoinCleanup(err, os.RemoveAll(member.Dir))
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
