// Package process runs etcd members as plain processes of this machine: a harness.Runtime for machines without a container
// engine. Every member listens on loopback addresses of its own and keeps its data in a folder of the run.
//
// Its processes die with the harness where the system can see to it, and are found again by their record where it cannot. It
// must not know what the members are for.
package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"sync"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// Config says what a Runtime runs and where it notes it.
type Config struct {
	// Program is the etcd to run by default, a path or a name in PATH; empty to build one of Version.
	Program string
	// Version is the default version, for example "3.7.3", or "3.7" for the pinned one of that minor; empty for the newest that
	// is pinned, or for whatever Program is.
	Version string
	// CacheDir is where programs that were built from source are kept. Required unless Program is set.
	CacheDir string
	// StateDir holds the records of processes, so that Sweep finds what a dead run left. Required.
	StateDir string
	// Progress is told about long work in words; nil for nobody.
	Progress func(string)
	// Log receives what may help to understand a decision; nil for silence.
	Log *slog.Logger
}

// Runtime runs members as processes of this user. It is safe for concurrent use.
type Runtime struct {
	cfg      Config
	programs *await.Each[string, program] // by version; empty for the default

	mu    sync.Mutex
	sites map[string]*site // the open ones, by run
}

var _ harness.Runtime = (*Runtime)(nil)

// New returns a runtime. It starts nothing and needs nothing but a folder for its records.
func New(cfg Config) (*Runtime, error) {
	if cfg.StateDir == "" {
		return nil, errors.New("open process runtime: no folder for the records of processes was named")
	}
	if cfg.Program == "" && cfg.CacheDir == "" {
		return nil, errors.New("open process runtime: neither an etcd program nor a folder to build one in was named")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	if cfg.Version = release.Full(cfg.Version); cfg.Version == "" && cfg.Program == "" {
		cfg.Version = release.Default
	}
	return &Runtime{cfg: cfg, programs: await.NewEach[string, program]("prepare program"), sites: map[string]*site{}}, nil
}

// Name returns "process".
func (r *Runtime) Name() string { return "process" }

// Close has nothing to give back; processes belong to a Site.
func (r *Runtime) Close() error { return nil }

// Prepare finds or builds the program that members of this version run.
func (r *Runtime) Prepare(ctx context.Context, version string) (harness.Prepared, error) {
	found, err := r.prepare(ctx, version)
	if err != nil {
		return harness.Prepared{}, err
	}
	return harness.Prepared{
		Version: found.version, Origin: found.origin,
		Engine: "processes on " + goruntime.GOOS + "/" + goruntime.GOARCH,
	}, nil
}

// prepare keeps what it found for every version. The default also stands for its own version by name.
func (r *Runtime) prepare(ctx context.Context, version string) (program, error) {
	version = release.Full(version)
	if version == "" || version == r.cfg.Version {
		return r.prepared(ctx, "", r.find)
	}
	if r.cfg.Program != "" {
		if found, err := r.prepared(ctx, "", r.find); err != nil || found.version == version {
			return found, err
		}
	}
	return r.prepared(ctx, version, func(ctx context.Context) (program, error) { return r.built(ctx, version) })
}

func (r *Runtime) prepared(ctx context.Context, key string, find func(context.Context) (program, error)) (program, error) {
	return r.programs.Do(ctx, key, func(ctx context.Context) (program, error) {
		found, err := find(ctx)
		if err != nil {
			return program{}, fmt.Errorf("prepare program: %w", err)
		}
		return found, nil
	})
}

// Abilities tells that every process can be frozen: SIGSTOP needs no engine.
func (r *Runtime) Abilities(context.Context) (harness.Abilities, error) {
	return harness.Abilities{Local: true}, nil
}

// Open makes the folders of a run's members. Nothing outside the run's work folder is made before a node starts.
func (r *Runtime) Open(_ context.Context, run *harness.Run) (harness.Site, error) {
	s, err := newSite(r, run)
	if err != nil {
		return nil, fmt.Errorf("open site: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sites[run.ID()] = s
	return s, nil
}

func (r *Runtime) recordPath(runID string) string {
	return filepath.Join(r.cfg.StateDir, "processes", runID+".jsonl")
}

// runID is what an ID of a run may look like, whoever drew it: it becomes a part of a file's name.
var runID = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
