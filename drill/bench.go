package drill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/bench"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/dataset"
)

// BenchRoute is a way back that is timed. Beside routes of recovery there is one that does the same as another by other means.
type BenchRoute string

// The routes that are timed.
const (
	BenchRestore  BenchRoute = "restore"           // all members at once, from one copy of the source
	BenchOneByOne BenchRoute = "one-by-one"        // one member after the other, each from a copy of its own
	BenchSeed     BenchRoute = "seed"              // one member, and the others join it
	BenchForce    BenchRoute = "force-new-cluster" // one member goes on with the data that it has, and the others join it
)

// BenchRoutes lists them.
func BenchRoutes() []BenchRoute {
	return []BenchRoute{BenchRestore, BenchOneByOne, BenchSeed, BenchForce}
}

// noSource is the source of a route that has none.
const noSource = "none"

// BenchSpec says what to measure: every combination of these that makes sense, Count times each, in turns.
type BenchSpec struct {
	Sizes      []int64 // of the sources, in bytes
	Members    []int
	Sources    []recovery.Kind
	Routes     []BenchRoute
	Versions   []string // of etcd, as Runtime.Prepare takes them
	Disks      []BenchDisk
	PageCaches []string // bench.Warm, bench.Cold
	Data       bench.Data
	WarmUps    int // rounds that come first and do not count
	Count      int
}

// BenchOptions say how and where to measure.
type BenchOptions struct {
	// Worker, Etcdutl, StateDir and Tool are those of Options.
	Options
	Runtimes []harness.Runtime
	Cache    string // the folder of the data sets
	// Store is the file in which every measurement is written down as soon as it is made. It must not exist, unless Resume is set:
	// then what is in it is continued, and the spec is not looked at.
	Store  string
	Resume bool
	// Progress receives lines for a person; nil for none.
	Progress func(string)
}

// ErrNoResume means that a stored run cannot be continued here: by another program, on another host, or while somebody else does.
var ErrNoResume = errors.New("the run cannot be continued")

// Check returns an error wrapping ErrUsage if nothing can be measured by the spec.
func (s BenchSpec) Check() error {
	if s.Count < 1 || s.WarmUps < 0 {
		return fmt.Errorf("%w: %d rounds after %d to warm up: at least one must count", ErrUsage, s.Count, s.WarmUps)
	}
	for _, size := range s.Sizes {
		if err := s.dataSpec(size, "").Check(); err != nil {
			return fmt.Errorf("%w: %w", ErrUsage, err)
		}
	}
	for _, n := range s.Members {
		if n < 1 || n > harness.MaxMembers {
			return fmt.Errorf("%w: %d members: a benchmark takes 1 to %d", ErrUsage, n, harness.MaxMembers)
		}
	}
	for _, kind := range s.Sources {
		if kind != recovery.SavedSnapshot && kind != recovery.DBCopy {
			return fmt.Errorf("%w: unknown source %q: choose %s or %s", ErrUsage, kind, recovery.SavedSnapshot, recovery.DBCopy)
		}
	}
	for _, route := range s.Routes {
		if !slices.Contains(BenchRoutes(), route) {
			return fmt.Errorf("%w: unknown route %q: choose one of %v", ErrUsage, route, BenchRoutes())
		}
	}
	return s.checkPlaces()
}

func (s BenchSpec) checkPlaces() error {
	names := map[string]bool{}
	for _, disk := range s.Disks {
		if names[disk.Name] {
			return fmt.Errorf("%w: two disks are called %s; give them names, as in --disk a=/one,b=/other", ErrUsage, disk.Name)
		}
		names[disk.Name] = true
	}
	for _, state := range s.PageCaches {
		if state != bench.Warm && state != bench.Cold {
			return fmt.Errorf("%w: unknown state of the page cache %q: choose %s or %s", ErrUsage, state, bench.Warm, bench.Cold)
		}
		if state == bench.Cold && names[tmpfs] {
			return fmt.Errorf("%w: what lies on tmpfs is always in memory; measure --page-cache cold on a disk", ErrUsage)
		}
	}
	for what, count := range map[string]int{
		"size": len(s.Sizes), "number of members": len(s.Members), "source": len(s.Sources), "route": len(s.Routes),
		"version": len(s.Versions), "disk": len(s.Disks), "state of the page cache": len(s.PageCaches),
	} {
		if count == 0 {
			return fmt.Errorf("%w: no %s was given", ErrUsage, what)
		}
	}
	return nil
}

func (s BenchSpec) dataSpec(size int64, minor string) dataset.Spec {
	return dataset.Spec{
		SizeBytes: size, ValueBytes: s.Data.ValueBytes, Revisions: s.Data.Revisions, Leases: s.Data.Leases, Seed: s.Data.Seed, Minor: minor,
	}
}

// Bench measures restores by the spec and returns what was measured, which is also in the store. When the context ends, or after
// an error, that is what there is until then. A measurement that failed is one of the samples, and no error.
func Bench(ctx context.Context, spec BenchSpec, opts BenchOptions) (run bench.Run, err error) {
	b := &benching{opts: opts, runtimes: map[string]harness.Runtime{}, sets: map[setKey]dataset.Set{}}
	if b.opts.Progress == nil {
		b.opts.Progress = func(string) {}
	}
	for _, runtime := range opts.Runtimes {
		b.runtimes[runtime.Name()] = runtime
	}
	if opts.Resume {
		err = b.resume()
	} else {
		err = b.begin(ctx, spec)
	}
	if b.store != nil {
		defer func() { err = errors.Join(err, b.store.Close()) }()
	}
	if err == nil {
		err = b.measureAll(ctx)
	}
	return b.run, err
}

// ReadBench reads a stored run.
func ReadBench(path string) (bench.Run, error) {
	file, err := os.Open(path)
	if err != nil {
		return bench.Run{}, err
	}
	defer func() { _ = file.Close() }() // read only
	run, _, err := bench.Read(file)
	if err != nil {
		return bench.Run{}, fmt.Errorf("read %s: %w", path, err)
	}
	return run, nil
}

// benching is a benchmark in progress.
type benching struct {
	opts     BenchOptions
	runtimes map[string]harness.Runtime // by name
	sets     map[setKey]dataset.Set
	run      bench.Run
	store    *os.File
}

type setKey struct {
	spec dataset.Spec
	form dataset.Form
}

// begin makes the matrix and the store.
func (b *benching) begin(ctx context.Context, spec BenchSpec) error {
	if err := spec.Check(); err != nil {
		return err
	}
	host, err := thisHost()
	if err != nil {
		return err
	}
	b.run.Header = bench.Header{
		SchemaVersion: bench.SchemaVersion, Tool: b.opts.Tool, Host: host, WarmUps: spec.WarmUps, Count: spec.Count, Data: spec.Data,
		Places: map[string]string{}, Started: time.Now(),
	}
	b.run.Data.Version = dataset.Version
	for _, disk := range spec.Disks {
		b.run.Places[disk.Name] = disk.Dir
	}
	if b.run.Matrix, err = b.matrix(ctx, spec); err != nil {
		return err
	}
	if err := b.checkRoom(ctx); err != nil {
		return err
	}
	if b.store, err = os.OpenFile(b.opts.Store, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return fmt.Errorf("make file of measurements: %w", err)
	}
	if err := b.lockStore(); err != nil {
		return err
	}
	return b.write(func() error { return bench.WriteHeader(b.store, b.run.Header) })
}

// resume reads what was measured, and cuts off what an interruption left in the middle of a line.
func (b *benching) resume() (err error) {
	if b.store, err = os.OpenFile(b.opts.Store, os.O_RDWR|os.O_APPEND, 0o600); err != nil {
		return err
	}
	if err := b.lockStore(); err != nil {
		return err
	}
	run, whole, err := bench.Read(b.store)
	if err != nil {
		return fmt.Errorf("read %s: %w", b.opts.Store, err)
	}
	host, err := thisHost()
	if err != nil {
		return err
	}
	switch {
	case run.Host != host:
		return fmt.Errorf("%w: it was begun on %s, kernel %s; this is %s, kernel %s",
			ErrNoResume, run.Host.Class(), run.Host.Kernel, host.Class(), host.Kernel)
	case run.Data.Version != dataset.Version:
		return fmt.Errorf("%w: it was begun on data sets of version %d, this program makes those of %d; measure anew",
			ErrNoResume, run.Data.Version, dataset.Version)
	case run.Tool != b.opts.Tool:
		return fmt.Errorf("%w: it was begun by etcd-drill %s, this is %s", ErrNoResume, run.Tool, b.opts.Tool)
	}
	b.run = run
	return b.store.Truncate(whole)
}

// lockStore refuses a file that another run writes to.
func (b *benching) lockStore() error {
	if err := unix.Flock(int(b.store.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%w: %s is being written by another run", ErrNoResume, b.opts.Store)
	}
	return nil
}

// write puts on disk what a function writes.
func (b *benching) write(do func() error) error {
	return errors.Join(do(), b.store.Sync())
}

// matrix is every configuration that makes sense, by the versions that the runtimes have made available.
func (b *benching) matrix(ctx context.Context, spec BenchSpec) ([]bench.Config, error) {
	var matrix []bench.Config
	for _, name := range slices.Sorted(maps.Keys(b.runtimes)) {
		for _, wanted := range spec.Versions {
			prepared, err := b.runtimes[name].Prepare(ctx, wanted)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrNoEtcd, err)
			}
			for _, config := range spec.configs() {
				config.Runtime, config.Etcd = name, prepared.Version
				matrix = append(matrix, config)
			}
		}
	}
	if len(matrix) == 0 {
		return nil, fmt.Errorf("%w: nothing is left of the matrix: members cannot join a single one, nor be restored one by one", ErrUsage)
	}
	return matrix, nil
}

// configs are the combinations of all but runtimes and versions.
func (s BenchSpec) configs() []bench.Config {
	var all []bench.Config
	for _, size := range s.Sizes {
		for _, members := range s.Members {
			for _, route := range s.Routes {
				if members > 1 || route != BenchOneByOne && route != BenchSeed { // of one member they are the same as a restore
					all = append(all, s.configsOf(bench.Config{SizeBytes: size, Members: members, Route: string(route)})...)
				}
			}
		}
	}
	return all
}

func (s BenchSpec) configsOf(config bench.Config) []bench.Config {
	var all []bench.Config
	for _, config.Source = range s.sourcesOf(BenchRoute(config.Route)) {
		for _, disk := range s.Disks {
			for _, config.PageCache = range s.PageCaches {
				config.Disk = disk.Name
				all = append(all, config)
			}
		}
	}
	return all
}

func (s BenchSpec) sourcesOf(route BenchRoute) []string {
	if route == BenchForce {
		return []string{noSource}
	}
	var sources []string
	for _, kind := range s.Sources {
		sources = append(sources, string(kind))
	}
	return sources
}

// measureAll has the configurations take turns, A B A B: what drifts in the meantime drifts for all of them.
func (b *benching) measureAll(ctx context.Context) error {
	for round := 1 - b.run.WarmUps; round <= b.run.Count; round++ {
		for i, config := range b.run.Matrix {
			if round > 0 && b.run.Has(config, round) || round <= 0 && b.complete(config) {
				continue
			}
			b.opts.Progress(fmt.Sprintf("%s, configuration %d of %d: %s", roundName(round, b.run.Count), i+1, len(b.run.Matrix), config))
			sample, err := b.measure(ctx, config, round)
			if err != nil {
				return err
			}
			b.run.Samples = append(b.run.Samples, sample)
			if err := b.write(func() error { return bench.WriteSample(b.store, sample) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func roundName(round, count int) string {
	if round < 1 {
		return "warm-up"
	}
	return fmt.Sprintf("round %d of %d", round, count)
}

// complete tells whether all samples of a configuration that count are there.
func (b *benching) complete(config bench.Config) bool {
	for round := 1; round <= b.run.Count; round++ {
		if !b.run.Has(config, round) {
			return false
		}
	}
	return true
}

// set returns the data set that a configuration starts from.
func (b *benching) set(ctx context.Context, config bench.Config) (dataset.Set, error) {
	key := b.setKey(config)
	if set, there := b.sets[key]; there {
		return set, nil
	}
	set, err := dataset.Cache{Dir: b.opts.Cache, Progress: b.opts.Progress}.Get(ctx, key.spec, key.form)
	if err != nil {
		return dataset.Set{}, err
	}
	b.sets[key] = set
	return set, nil
}

func (b *benching) setKey(config bench.Config) setKey {
	form := dataset.Snapshot
	if config.Source == string(recovery.DBCopy) {
		form = dataset.Database
	}
	minor := strings.Join(strings.SplitN(config.Etcd, ".", 3)[:2], ".")
	return setKey{spec: BenchSpec{Data: b.run.Data}.dataSpec(config.SizeBytes, minor), form: form}
}
