package offline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// Why a restore does not begin.
var (
	// ErrTargetTaken means that something is where a member's data or log is to be made; the error wraps fs.ErrExist, too. etcdutl
	// takes an empty data directory and no log directory at all (etcdutl/snapshot/v3_snapshot.go, Restore); here it is always a
	// folder that is not there yet.
	ErrTargetTaken = errors.New("target is taken")
	// ErrMountRoot means that the target is the root of a file system, which cannot be renamed and seldom is empty.
	ErrMountRoot = errors.New("target is the root of a file system")
	// ErrNotWritable means that nothing can be made in the folder of the target.
	ErrNotWritable = errors.New("target cannot be written")
	// ErrForeignOwner means that the folder of the target belongs to another user, as whom the server will probably run: etcdutl
	// makes files that only their owner can read.
	ErrForeignOwner = errors.New("target lies in another user's folder")
)

// Target is where a restored member is to be made.
type Target struct {
	DataDir string
	WALDir  string // a log directory of its own; empty where the log lies in the data directory
}

// Check tells whether a restore that needs this many bytes can be made there, before anything is touched: it makes an empty
// folder beside the target, removes it again, and changes nothing else. The error wraps one of the sentinels above and says what
// to do.
func (t Target) Check(needBytes int64) error {
	dirs := []string{t.DataDir}
	if inside, err := filepath.Rel(t.DataDir, t.WALDir); t.WALDir != "" && (err != nil || !filepath.IsLocal(inside)) {
		dirs = append(dirs, t.WALDir) // one inside comes with the data directory
	}
	for _, dir := range dirs {
		if err := checkVacant(dir); err != nil {
			return err
		}
		if err := checkFolder(filepath.Dir(dir), needBytes); err != nil {
			return err
		}
	}
	return nil
}

// lostAndFound lies in the root of every ext file system. etcdutl's complaint would be that the directory is not empty.
const lostAndFound = "lost+found"

// checkVacant refuses whatever is there already, an empty folder included.
func checkVacant(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w; see that its folder can be entered", ErrNotWritable, err)
	case !info.IsDir():
		return fmt.Errorf("%w: %s is no folder (%w); name a folder that is not there yet", ErrTargetTaken, dir, fs.ErrExist)
	}
	holds := "is there, if empty"
	if entries, err := os.ReadDir(dir); err != nil {
		holds = "cannot be looked into: " + err.Error()
	} else if len(entries) > 0 {
		holds = fmt.Sprintf("holds %q and more", entries[0].Name())
	}
	if _, err := os.Lstat(filepath.Join(dir, lostAndFound)); err == nil || onOtherDevice(dir) {
		return fmt.Errorf("%w: %s %s (%w); restore into a new folder in it, for example %s",
			ErrMountRoot, dir, holds, fs.ErrExist, filepath.Join(dir, "etcd"))
	}
	return fmt.Errorf("%w: %s %s (%w); name a folder that is not there yet, or move this one away", ErrTargetTaken, dir, holds, fs.ErrExist)
}

// checkFolder refuses a folder in which nothing can be made, in which it would be of no use, or in which it has no room.
func checkFolder(dir string, needBytes int64) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("%w: %w; make the folder first", ErrNotWritable, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is no folder; name another", ErrNotWritable, dir)
	}
	if owner, foreign := foreignOwner(info); foreign {
		return fmt.Errorf("%w: %s belongs to user %d, what is restored would belong to user %d and be closed to others; "+
			"restore as the user as whom etcd runs, or into a folder of your own and give the result away with chown -R",
			ErrForeignOwner, dir, owner, os.Geteuid())
	}
	trial, err := os.MkdirTemp(dir, ".etcd-drill-*")
	if err == nil {
		err = os.Remove(trial)
	}
	if err != nil {
		return fmt.Errorf("%w: %w; name a folder that you may write to, on a file system that is not read-only", ErrNotWritable, err)
	}
	free, err := freeBytes(dir)
	if err != nil {
		return fmt.Errorf("measure free space of %s: %w", dir, err)
	}
	if free < needBytes {
		return fmt.Errorf("%w: %s has %d MiB free, the restore needs up to %d MiB; free some, or name a folder on another file system",
			recovery.ErrNoSpace, dir, free>>20, needBytes>>20)
	}
	return nil
}

// walBytes is what etcd's log takes for a moment when it is made: a segment, and the next one in advance
// (server/storage/wal, SegmentSizeBytes and filePipeline). One of them stays.
const walBytes = 2 * 64 << 20

// needBytes is what a restore of so many members takes at its peak: a database for each, which for one of them is at first the
// private copy of the source, what etcdutl is given of it, and the logs. Databases may be sparse, so it is an upper bound.
func needBytes(s recovery.Source, members int) int64 {
	return int64(members)*(s.SizeBytes+growthBytes+walBytes) + growthBytes
}

// growthBytes is by how much a database may grow when it is changed: bbolt allocates so much in advance (db.go, AllocSize).
const growthBytes = 16 << 20

// checkTargets refuses a restore that would fail later, and leave more behind than a sentence. A copy of the source that was kept has
// its room already.
func checkTargets(p recovery.Plan, scratch string, kept bool) error {
	need := needBytes(p.Source, len(p.Members))
	if kept {
		need -= p.Source.SizeBytes
	}
	for _, member := range p.Members {
		target := Target{DataDir: filepath.Join(scratch, member.Name)}
		if err := target.Check(need); err != nil {
			return fmt.Errorf("restore member %s: %w", member.Name, err)
		}
	}
	return nil
}
