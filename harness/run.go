package harness

import (
	"bufio"
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Run is one run of the program: its ID, its lock, and the record of everything that it makes outside its own memory.
//
// The record lies in the state directory as RUNID.jsonl and is locked for as long as the process lives; the kernel drops
// the lock with the process, however that ends. So a record whose lock is free belongs to a dead run, and only such a run
// is ever swept without being named.
type Run struct {
	id      string
	workDir string
	mu      sync.Mutex
	record  *os.File // opened under a hidden name; path is where it lies now
	path    string
}

// RunConfig says where a run keeps its record and its working files.
type RunConfig struct {
	ID       string // from NewRunID; drawn if empty
	StateDir string // holds the records of all runs of this user; created if missing
	WorkDir  string // the run's own folder; must not exist yet
	Runtime  string // the name of the runtime that will run members, which is the one to sweep after it
}

// NewRunID draws an ID for a run: eight hexadecimal digits from crypto/rand.
func NewRunID() string {
	var random [4]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(random[:])
}

// workMarker lies in every work folder and holds the run's ID. A folder without it is never removed.
const workMarker = ".etcd-drill-run"

const recordSuffix = ".jsonl"

// recordHead is the first line of a record, recordItem every other line.
type recordHead struct {
	Run     string    `json:"run"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	WorkDir string    `json:"workDir"`
	Runtime string    `json:"runtime,omitempty"`
}

type recordItem struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// NewRun opens a run: it draws an ID, makes the work folder and takes the lock. The caller closes it.
func NewRun(cfg RunConfig) (run *Run, err error) {
	id := cfg.ID
	if id == "" {
		id = NewRunID()
	}
	workDir, err := filepath.Abs(cfg.WorkDir)
	if err != nil {
		return nil, fmt.Errorf("open run: %w", err)
	}
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("open run: make state directory: %w", err)
	}
	record, err := newRecord(cfg.StateDir, recordHead{
		Run: id, PID: os.Getpid(), Started: time.Now(), WorkDir: workDir, Runtime: cfg.Runtime,
	})
	if err != nil {
		return nil, fmt.Errorf("open run: %w", err)
	}
	run = &Run{id: id, workDir: workDir, record: record, path: filepath.Join(cfg.StateDir, id+recordSuffix)}
	if err := makeWorkDir(workDir, id); err != nil {
		return nil, errors.Join(fmt.Errorf("open run: %w", err), run.removeRecord())
	}
	return run, nil
}

// newRecord writes the record under a hidden name and locks it before anybody can see it, so that no sweep takes a run that
// is just being born for a dead one.
func newRecord(stateDir string, head recordHead) (*os.File, error) {
	final := filepath.Join(stateDir, head.Run+recordSuffix)
	hidden := filepath.Join(stateDir, "."+head.Run)
	record, err := os.OpenFile(hidden, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write run record: %w", err)
	}
	err = errors.Join(unix.Flock(int(record.Fd()), unix.LOCK_EX|unix.LOCK_NB), writeLine(record, head))
	if err == nil {
		err = os.Rename(hidden, final)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write run record: %w", err), record.Close(), os.Remove(hidden))
	}
	return record, nil
}

func makeWorkDir(dir, id string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return fmt.Errorf("make work folder: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make work folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, workMarker), []byte(id), 0o600); err != nil {
		return fmt.Errorf("mark work folder: %w", err)
	}
	return nil
}

// ID returns the run's ID: eight hexadecimal digits that label everything the run makes.
func (r *Run) ID() string { return r.id }

// WorkDir returns the run's own folder, which only this user may enter.
func (r *Run) WorkDir() string { return r.workDir }

// Note records that the run is about to make something outside this process: a container, a network, a process. It must be
// called before the thing exists.
func (r *Run) Note(kind, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := writeLine(r.record, recordItem{Kind: kind, Name: name}); err != nil {
		return fmt.Errorf("note %s %s in run record: %w", kind, name, err)
	}
	return nil
}

// Close ends the run: the record goes, and the work folder too unless keepWork is set. The caller has removed everything
// else before.
func (r *Run) Close(keepWork bool) error {
	var err error
	if !keepWork {
		err = removeWorkDir(r.workDir, r.id)
	}
	return errors.Join(err, r.removeRecord())
}

func (r *Run) removeRecord() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(os.Remove(r.path), r.record.Close())
}

// DeadRun is a run whose process is gone but whose record is still there. Whoever holds it holds its lock.
type DeadRun struct {
	ID      string
	WorkDir string
	Runtime string   // the name of the runtime that ran its members; "docker" if the record does not say
	Things  []string // what the run noted, as "kind name"
	// Noted is when the run last noted something, which was before the thing came into being.
	Noted  time.Time
	record *os.File
	path   string
}

// DeadRuns returns the runs in this state directory whose process is gone, each locked for the caller, who must Bury or
// Release every one. Records of living runs are passed over.
func DeadRuns(stateDir string) ([]*DeadRun, error) {
	paths, err := filepath.Glob(filepath.Join(stateDir, "*"+recordSuffix))
	if err != nil {
		return nil, fmt.Errorf("list run records: %w", err)
	}
	var dead []*DeadRun
	for _, path := range paths {
		run, err := openDead(path)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
			continue // alive, or swept by somebody else in this moment
		}
		if err != nil {
			for _, run := range dead {
				err = errors.Join(err, run.Release())
			}
			return nil, fmt.Errorf("list run records: %w", err)
		}
		dead = append(dead, run)
	}
	return dead, nil
}

// DeadIDs names the runs in this state directory whose process is gone, and leaves them as they are.
func DeadIDs(stateDir string) ([]string, error) {
	dead, err := DeadRuns(stateDir)
	ids := []string{}
	for _, run := range dead {
		ids = append(ids, run.ID)
		err = errors.Join(err, run.Release())
	}
	return ids, err
}

func openDead(path string) (*DeadRun, error) {
	record, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(record.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, record.Close())
	}
	if _, err := os.Stat(path); err != nil { // buried between open and lock
		return nil, errors.Join(err, record.Close())
	}
	run := &DeadRun{
		ID: strings.TrimSuffix(filepath.Base(path), recordSuffix), record: record, path: path,
		Runtime: "docker", // as long as there was no other, records did not name it
	}
	lines := bufio.NewScanner(record)
	for first := true; lines.Scan(); first = false {
		var line struct {
			recordHead
			recordItem
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue // the line that was being written when the run died
		}
		if first {
			run.WorkDir, run.Runtime = line.WorkDir, cmp.Or(line.Runtime, run.Runtime)
			continue
		}
		run.Things = append(run.Things, line.Kind+" "+line.Name)
	}
	info, err := record.Stat()
	if err == nil {
		run.Noted = info.ModTime()
	}
	return run, errors.Join(lines.Err(), err)
}

// Bury removes the dead run's work folder and its record, once everything else that it left is gone.
func (d *DeadRun) Bury() error {
	if err := removeWorkDir(d.WorkDir, d.ID); err != nil {
		return errors.Join(fmt.Errorf("bury run %s: %w", d.ID, err), d.Release())
	}
	return errors.Join(os.Remove(d.path), d.record.Close())
}

// Release gives up the lock and leaves the record for a later sweep.
func (d *DeadRun) Release() error { return d.record.Close() }

// removeWorkDir removes the folder if it carries the run's marker. A folder that is gone already is no error; one that is
// marked otherwise is not ours and stays.
func removeWorkDir(dir, id string) error {
	if dir == "" {
		return nil
	}
	mark, err := os.ReadFile(filepath.Join(dir, workMarker))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove work folder: %w", err)
	}
	if string(mark) != id {
		return fmt.Errorf("remove work folder: %s belongs to run %q, not to %s", dir, mark, id)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove work folder: %w", err)
	}
	return nil
}

func writeLine(file *os.File, value any) error {
	line, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	return err
}
