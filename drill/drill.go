// Package drill puts the phases of a rehearsal in order: it times them, keeps what they leave, and cleans up. It is the
// facade that programs and test suites use.
//
// A phase returns a value and the next phase takes it; nothing is passed by side effect. Whoever wants the whole drill
// calls Rehearse; whoever wants to do something between two phases calls them one by one.
package drill

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// Options say how and where to rehearse.
type Options struct {
	Runtime harness.Runtime
	// Worker is the program that reads and restores files of unknown health; see offline.Worker.
	Worker offline.Worker
	// Etcdutl returns the path of the etcdutl program of this version of etcd, or of another one of its minor, for this machine. It
	// is asked if members are restored on another minor than that of the linked library; without it, or if it fails, the library
	// restores them, and the report says so.
	Etcdutl func(ctx context.Context, version string) (path string, err error)
	// EtcdArgs are further etcd flags for every member, of the cluster that will be lost and of the new one.
	EtcdArgs []string
	// Login is whom all clients of the drill log in as; nobody if zero. Authentication may be switched on later.
	Login harness.Login
	// Folder receives the evidence. It must be empty or not exist.
	Folder string
	// StateDir holds the records of this user's runs.
	StateDir string
	// RunID names the run; drawn if empty.
	RunID string
	// DigestKey keys the digests of all values; drawn if empty. It is never written down.
	DigestKey []byte
	// Keep says when data directories and copies of the source stay.
	Keep Keep
	// Notify, if set, is called with every event, in order.
	Notify func(Event)
	// Watch, if set, is given a function that tells how the load goes while it runs, in a few words; safe for concurrent use.
	Watch func(live func() string)
	// Chosen says in a few words why it is this runtime; empty if somebody asked for it. For the report only.
	Chosen string
	// Goals are what is demanded of the recovery; the report tells of each whether it was met. They change nothing that is done.
	Goals Goals
	// Tool is the version of the program, Number and Of the drill's place among those of one call; for the report only.
	Tool       string
	Number, Of int
	// ReadyWithin bounds how long a cluster may take until every member answers; 90 s if zero.
	ReadyWithin time.Duration
}

// Keep says when data directories and copies of the source stay in the drill folder. Evidence always stays.
type Keep string

// The values of Keep.
const (
	KeepFailed Keep = "failed" // after a drill that is not intact
	KeepAll    Keep = "all"
	KeepNone   Keep = "none"
)

// Drill is one rehearsal in progress.
type Drill struct {
	spec     Spec
	opts     Options
	folder   folder
	run      *harness.Run
	site     harness.Site
	security *harness.Security // nil without TLS
	root     harness.Login     // who authentication knows, if the drill has switched it on
	prepared harness.Prepared  // the etcd of the cluster that will be lost
	versions versions
	own      *ownDrill // nil unless it is the drill of somebody's backup
	events   *events
	log      *os.File

	how []offline.RestoreOption // by which way members are restored; what comes of it is the same

	parent *Drill // of a branch: who owns site and run; nil otherwise

	mu         sync.Mutex // guards what follows: cleanup may run beside a phase
	generation int
	clusters   []*harness.Cluster
	loads      []*Load
	watchings  []*Watching
	branches   []*Drill
	aside      *setAside
	intact     bool
	closed     bool
}

// setAside is a data directory that was copied before its owner was wiped.
type setAside struct {
	member *harness.Member
	disk   harness.Disk
}

// ErrNotEmpty marks a folder that a drill will not write to because something is in it.
var ErrNotEmpty = errors.New("the folder is not empty")

// ErrNoEtcd marks that the runtime could not make any etcd available.
var ErrNoEtcd = errors.New("no etcd to run")

// Open checks the spec, makes the folder, makes etcd available and opens a site. The caller closes the drill, whatever the
// error: a drill that could only partly be opened is returned beside it. A nil drill may be closed.
func Open(ctx context.Context, spec Spec, opts Options) (d *Drill, err error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	if err := opts.Goals.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if opts.ReadyWithin == 0 {
		opts.ReadyWithin = 90 * time.Second
	}
	if len(opts.DigestKey) == 0 {
		opts.DigestKey = make([]byte, 32)
		rand.Read(opts.DigestKey)
	}
	d = &Drill{spec: spec, opts: opts, folder: folder(opts.Folder)}
	if err := d.openFolder(); err != nil {
		return nil, fmt.Errorf("open drill: %w", err)
	}
	if spec.Own != nil { // the backup decides what it takes
		return d, d.open(ctx)
	}
	abilities, err := opts.Runtime.Abilities(ctx)
	if err == nil {
		err = checkRoom(opts.Folder, spec, abilities.Local)
	}
	if err != nil {
		return d, fmt.Errorf("open drill: %w", err)
	}
	if err := d.open(ctx); err != nil {
		return d, err
	}
	return d, d.settle(ctx)
}

// open makes the run, and nothing yet in which a member could live.
func (d *Drill) open(ctx context.Context) (err error) {
	d.run, err = harness.NewRun(harness.RunConfig{
		ID: d.opts.RunID, StateDir: d.opts.StateDir, WorkDir: d.folder.work(), Runtime: d.opts.Runtime.Name(),
	})
	if err != nil {
		return fmt.Errorf("open drill: %w", err)
	}
	if err := d.events.emit(EventOpened, "run %s, seed %d", d.run.ID(), d.spec.Seed); err != nil {
		return err
	}
	return d.sweepDead(ctx)
}

// settle makes etcd available and the site in which members live.
func (d *Drill) settle(ctx context.Context) (err error) {
	if err := d.prepareVersions(ctx); err != nil {
		return fmt.Errorf("open drill: %w", err)
	}
	if d.site, err = d.opts.Runtime.Open(ctx, d.run); err != nil {
		return fmt.Errorf("open drill: %w", err)
	}
	if err := d.secure(); err != nil {
		return fmt.Errorf("open drill: %w", err)
	}
	return d.writeManifest()
}

// sweepDead removes what dead runs left. That something of theirs resists is no reason not to rehearse; it is said.
func (d *Drill) sweepDead(ctx context.Context) error {
	swept, err := Sweeper{Runtimes: []harness.Runtime{d.opts.Runtime}, StateDir: d.opts.StateDir}.Dead(ctx, "")
	if err != nil {
		return d.events.emit(EventSwept, "not completely: %v", err)
	}
	if len(swept) == 0 {
		return nil
	}
	return d.events.emit(EventSwept, "what %d dead runs had left", len(swept))
}

func (d *Drill) openFolder() error {
	entries, err := os.ReadDir(string(d.folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%w: %s holds %q and more; name another with --out, or empty it", ErrNotEmpty, d.folder, entries[0].Name())
	}
	if err := os.MkdirAll(string(d.folder), 0o700); err != nil {
		return err
	}
	d.log, err = os.OpenFile(d.folder.events(), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	d.events = &events{out: d.log, notify: d.opts.Notify}
	return nil
}

// manifest is drill.json: what was asked for and what ran it.
type manifest struct {
	Run      string           `json:"run"`
	Spec     Spec             `json:"spec"`
	Runtime  string           `json:"runtime"`
	Prepared harness.Prepared `json:"prepared"`
	// Restoring is the etcd of the restored cluster.
	Restoring harness.Prepared `json:"preparedToRestore"`
	Opened    time.Time        `json:"opened"`
}

func (d *Drill) writeManifest() error {
	return writeJSON(d.folder.manifest(), manifest{
		Run: d.run.ID(), Spec: d.toldSpec(), Runtime: d.opts.Runtime.Name(), Prepared: d.prepared,
		Restoring: d.versions.restoring, Opened: time.Now(),
	})
}

// toldSpec is the spec as it may be written down.
func (d *Drill) toldSpec() Spec {
	spec := d.spec
	if d.covers() && spec.Own.Canary != "" {
		own := *spec.Own
		own.Canary = string(d.coverer()(ledger.Key(own.Canary)))
		spec.Own = &own
	}
	return spec
}

// Folder returns where the evidence lies.
func (d *Drill) Folder() string { return string(d.folder) }

// RunID returns the run's ID.
func (d *Drill) RunID() string { return d.run.ID() }

// Prepared returns what the runtime said about the etcd of the cluster that will be lost.
func (d *Drill) Prepared() harness.Prepared { return d.prepared }

// closeWithin caps the cleanup, which no cancellation reaches.
const closeWithin = 2 * time.Minute

// Close ends the drill: it stops what still runs, keeps every member's log, removes all that is outside the folder and,
// unless it is to be kept, the data inside. It is idempotent, goes on after the context was cancelled, and joins its errors.
func (d *Drill) Close(ctx context.Context) error {
	if d == nil || d.closed {
		return nil
	}
	d.closed = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	var failures []error
	note := func(err error) { failures = append(failures, err) }
	for _, load := range d.loads {
		_, err := load.Stop(ctx)
		note(err)
	}
	for _, watching := range d.watchings {
		note(watching.close())
	}
	note(d.saveLogs(ctx))
	keep := d.keepsData()
	if d.site != nil {
		note(d.site.Close(ctx, keep))
	}
	if !keep {
		note(os.RemoveAll(d.folder.backup()))
		for _, b := range d.branches {
			note(os.RemoveAll(b.folder.backup()))
		}
	}
	if d.run != nil {
		note(d.run.Close(keep))
	}
	if d.events != nil {
		note(d.events.emit(EventClosed, ""))
	}
	if d.log != nil {
		note(d.log.Close())
	}
	return errors.Join(failures...)
}

// keepsData tells whether the data directories stay. A drill that never made a member has none.
func (d *Drill) keepsData() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.clusters) == 0 {
		return false
	}
	switch d.opts.Keep {
	case KeepAll:
		return true
	case KeepNone:
		return false
	}
	return !d.intact
}

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	return nil
}

func readJSON(path string, value any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	if err := json.Unmarshal(text, value); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}
