package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// The environment that the program reads, beside what the engine's client reads (DOCKER_HOST and its likes).
const (
	envState   = "ETCD_DRILL_STATE_DIR"
	envCache   = "ETCD_DRILL_CACHE_DIR"
	envRuntime = "ETCD_DRILL_RUNTIME"
	envImage   = "ETCD_DRILL_IMAGE"
	envBinary  = "ETCD_DRILL_BINARY"
)

// stateDir holds the records of this user's runs.
func stateDir() (string, error) {
	if dir := os.Getenv(envState); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "etcd-drill"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find state directory: %w; set %s", err, envState)
	}
	return filepath.Join(home, ".local", "state", "etcd-drill"), nil
}

// cacheDir holds binaries of etcd that were built from source.
func cacheDir() (string, error) {
	if dir := os.Getenv(envCache); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache directory: %w; set %s", err, envCache)
	}
	return filepath.Join(dir, "etcd-drill"), nil
}

// hostFlags say where to run members, and which etcd.
type hostFlags struct{ runtime, image, binary, version string }

func (h *hostFlags) add(flags *pflag.FlagSet) {
	h.addProgram(flags)
	flags.StringVar(&h.version, "etcd-version", "", "etcd version to run (default: the newest that is pinned)")
}

// addProgram is add without the version, for a command whose spec has it.
func (h *hostFlags) addProgram(flags *pflag.FlagSet) {
	h.addRuntime(flags)
	flags.StringVar(&h.image, "image", "", "etcd image to run (default: $"+envImage+", or found, pulled or built)")
	flags.StringVar(&h.binary, "binary", "", "etcd program to run as plain processes (default: $"+envBinary+", or built)")
}

func (h *hostFlags) addRuntime(flags *pflag.FlagSet) {
	flags.StringVar(&h.runtime, "runtime", cmp.Or(os.Getenv(envRuntime), string(host.Auto)),
		"where members run: docker, process, or auto for docker if an engine answers; $"+envRuntime)
}

func (h *hostFlags) open(ctx context.Context, progress func(string)) (host.Chosen, error) {
	cfg, err := h.config(progress)
	if err != nil {
		return host.Chosen{}, err
	}
	return host.Open(ctx, cfg)
}

func (h *hostFlags) config(progress func(string)) (host.Config, error) {
	cache, err := cacheDir()
	if err != nil {
		return host.Config{}, err
	}
	state, err := stateDir()
	if err != nil {
		return host.Config{}, err
	}
	return host.Config{
		Choice: host.Choice(h.runtime), Image: h.image, Program: h.binary, Version: release.Full(h.version),
		CacheDir: cache, StateDir: state, Progress: progress,
	}.WithDefaults(os.Getenv(envImage), os.Getenv(envBinary)), nil
}

// specFlags say what to rehearse.
type specFlags struct {
	spec                        drill.Spec
	lose, source, backup, route string
}

func (s *specFlags) add(flags *pflag.FlagSet) {
	s.spec = drill.DefaultSpec()
	flags.IntVar(&s.spec.Members, "members", s.spec.Members, "size of the cluster, 1 to 9")
	flags.StringVar(&s.lose, "lose", string(s.spec.Lose), "whom to lose: quorum, tolerable, all, leader or a number")
	flags.StringVar(&s.spec.Fault, "fault", s.spec.Fault, "how to lose them: kill, pause, stop or wipe")
	flags.StringVar(&s.source, "source", string(s.spec.Source), "what to recover from: snapshot or db")
	flags.StringVar(&s.backup, "backup", string(s.spec.Backup), "when to save the snapshot: before or after the disaster")
	flags.StringVar(&s.route, "route", string(recovery.RouteRestore), "the way back: restore, seed, force-new-cluster, replace or restart")
	flags.StringVar(&s.spec.EtcdVersion, "etcd-version", "",
		"etcd version to lose: for example 3.6.16, or 3.6 for the pinned one (default: the newest that is pinned)")
	flags.StringVar(&s.spec.RestoreVersion, "restore-version", "", "etcd version to restore on (default: the one that was lost)")
	flags.IntVar(&s.spec.RestoreMembers, "restore-members", 0, "size of the restored cluster (default: that of the lost one)")
	flags.Uint64Var(&s.spec.BumpRevision, "bump-revision", 0, "begin this many revisions beyond the source; needs --mark-compacted")
	flags.BoolVar(&s.spec.MarkCompacted, "mark-compacted", false, "take what lies below a bump for compacted; needs --bump-revision")
	flags.BoolVar(&s.spec.TLS, "tls", false, "members speak TLS to peers and clients, under certificates made for the run")
	flags.BoolVar(&s.spec.Auth, "auth", false, "switch authentication on; goes with --tls, and the drill is root by its certificate")
	flags.BoolVar(&s.spec.SeparateWAL, "separate-wal", false, "members keep their write-ahead log apart from their data")
	flags.IntVar(&s.spec.Keys, "keys", s.spec.Keys, "writes to acknowledge before the disaster")
	flags.IntVar(&s.spec.ValueBytes, "value-size", s.spec.ValueBytes, "bytes of a value")
	flags.IntVar(&s.spec.Workers, "workers", s.spec.Workers, "concurrent writers")
	flags.Uint64Var(&s.spec.Seed, "seed", 0, "fixes operations, victims and the plan's shape (default: drawn and printed)")
}

// plain is what the flags say that every drill has.
func (s *specFlags) plain(flags *pflag.FlagSet) (drill.Spec, error) {
	if !flags.Changed("seed") {
		s.spec.Seed = drawSeed()
	}
	if flags.Changed("bump-revision") != s.spec.MarkCompacted || flags.Changed("bump-revision") && s.spec.BumpRevision == 0 {
		return s.spec, usage(errors.New("--bump-revision N, with N at least 1, and --mark-compacted go together; give both or neither"))
	}
	return s.spec, nil
}

// drills returns one drill for the flags, or the main job if none of them says which drill is wanted.
func (s *specFlags) drills(flags *pflag.FlagSet) ([]drill.Spec, error) {
	if _, err := s.plain(flags); err != nil {
		return nil, err
	}
	s.spec.Lose, s.spec.Source, s.spec.Backup = faults.Target(s.lose), recovery.Kind(s.source), drill.Backup(s.backup)
	s.spec.Route = recovery.Route(s.route)
	s.spec.EtcdVersion, s.spec.RestoreVersion = release.Full(s.spec.EtcdVersion), release.Full(s.spec.RestoreVersion)
	if s.spec.Route == recovery.RouteReplace && !flags.Changed("lose") {
		s.spec.Lose = faults.Tolerable // more than that nobody can replace
	}
	specs := []drill.Spec{s.spec}
	if !flags.Changed("lose") && !flags.Changed("fault") && !flags.Changed("source") && !flags.Changed("backup") &&
		!flags.Changed("route") {
		specs = drill.MainJob(s.spec)
	}
	for _, spec := range specs {
		if err := spec.Check(); err != nil {
			return nil, err
		}
	}
	return specs, nil
}

// nameDefault names the version that is lost where only the one to restore on was named, for whoever must know both before
// anything is looked for.
func nameDefault(specs []drill.Spec) {
	for i := range specs {
		if specs[i].RestoreVersion != "" {
			specs[i].EtcdVersion = cmp.Or(specs[i].EtcdVersion, release.Default)
		}
	}
}

// selfWorker is this program, started again as a worker.
func selfWorker() (offline.Worker, error) {
	self, err := os.Executable()
	if err != nil {
		return offline.Worker{}, fmt.Errorf("find own program: %w", err)
	}
	return offline.Worker{Path: self, Args: []string{workerCommand}}, nil
}

// output is the -w flag.
type output struct{ format string }

const (
	formatSimple = "simple"
	formatJSON   = "json"
)

func (o *output) add(flags *pflag.FlagSet) {
	flags.StringVarP(&o.format, "write-out", "w", formatSimple, "output format: simple or json")
}

func (o *output) check(*cobra.Command, []string) error {
	if o.format != formatSimple && o.format != formatJSON {
		return usage(fmt.Errorf("unknown output format %q: choose simple or json", o.format))
	}
	return nil
}

func (o *output) json() bool { return o.format == formatJSON }

func writeJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return errors.Join(errors.New("write result"), err)
	}
	return nil
}
