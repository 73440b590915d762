// Package docker runs etcd members as containers: a harness.Runtime on testcontainers-go and the engine's own client, both
// of which only this package knows.
//
// It assumes nothing about the machine that the engine runs on: whether folders are shared with it and whether container
// addresses can be reached is found out, not guessed. It must not know what the members are for.
package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// Sharing says where members keep their data.
type Sharing string

// The ways to keep data. SharingAuto takes folders of this machine if the engine sees them, and volumes otherwise.
const (
	SharingAuto   Sharing = "auto"
	SharingBind   Sharing = "bind"
	SharingVolume Sharing = "volume"
)

// Reach says how this machine connects to members.
type Reach string

// The ways to connect. ReachAuto takes the containers' own addresses if this machine has a leg in their network, and ports
// published on the engine's machine otherwise.
const (
	ReachAuto      Reach = "auto"
	ReachAddress   Reach = "address"
	ReachPublished Reach = "published"
)

// Config says what a Runtime runs and how. The zero value finds out everything by itself.
type Config struct {
	// Image is the image to use by default, by name or ID; empty to find, pull or build one for Version.
	Image string
	// Version is the default version, for example "3.7.3", or "3.7" for the pinned one of that minor; empty for the newest that
	// is pinned, or for whatever Image holds.
	Version string
	// CacheDir is where binaries that were built from source are kept.
	CacheDir string
	// Progress is told about long work in words; nil for nobody.
	Progress func(string)
	// Log receives what may help to understand a decision; nil for silence.
	Log *slog.Logger
	// Sharing is SharingAuto if empty.
	Sharing Sharing
	// Reach is ReachAuto if empty.
	Reach Reach
}

// Runtime runs members on one container engine. It is safe for concurrent use.
type Runtime struct {
	cfg      Config
	engine   *client.Client
	provider *testcontainers.DockerProvider
	info     system.Info
	images   *await.Each[string, image] // by version; empty for the default
}

// image is what members run.
type image struct {
	ref      string
	prepared harness.Prepared
}

var _ harness.Runtime = (*Runtime)(nil)

// ErrReaperOn is returned by New when testcontainers would start its reaper: a privileged container of an image that must be
// pulled, and that may remove members while a drill looks at their remains. See DisableReaper.
var ErrReaperOn = errors.New("the reaper of testcontainers is on")

// DisableReaper prepares testcontainers for this process: no reaper, and no lines on standard error. Programs call it once,
// before anything else uses testcontainers, which reads its configuration only once; it sets the environment variable
// TESTCONTAINERS_RYUK_DISABLED. It fails if it comes too late. Leftovers of dead runs are removed by Runtime.Sweep instead.
func DisableReaper() error {
	if err := os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true"); err != nil {
		return fmt.Errorf("disable reaper: %w", err)
	}
	tclog.SetDefault(tclog.NewNoopLogger())
	if !testcontainers.ReadConfig().Config.RyukDisabled {
		return fmt.Errorf("disable reaper: testcontainers has already read its configuration: %w", ErrReaperOn)
	}
	return nil
}

// New connects to the engine that DOCKER_HOST, the current docker context or the usual socket names. It returns an error
// wrapping ErrNoEngine, ErrNotPermitted or ErrReaperOn where that is the reason. The caller closes the Runtime.
func New(ctx context.Context, cfg Config) (*Runtime, error) {
	if err := complete(&cfg); err != nil {
		return nil, err
	}
	if !testcontainers.ReadConfig().Config.RyukDisabled {
		return nil, fmt.Errorf("open docker runtime: %w (set TESTCONTAINERS_RYUK_DISABLED=true)", ErrReaperOn)
	}
	engine, err := connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("open docker runtime: %w", err)
	}
	r := &Runtime{cfg: cfg, engine: engine, images: await.NewEach[string, image]("prepare image")}
	if err := r.introduce(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open docker runtime: %w", err), engine.Close())
	}
	return r, nil
}

func complete(cfg *Config) error {
	if cfg.Version = release.Full(cfg.Version); cfg.Version == "" && cfg.Image == "" {
		cfg.Version = release.Default
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	switch cfg.Sharing {
	case "":
		cfg.Sharing = SharingAuto
	case SharingAuto, SharingBind, SharingVolume:
	default:
		return fmt.Errorf("open docker runtime: sharing %q is none of auto, bind, volume", cfg.Sharing)
	}
	switch cfg.Reach {
	case "":
		cfg.Reach = ReachAuto
	case ReachAuto, ReachAddress, ReachPublished:
	default:
		return fmt.Errorf("open docker runtime: reach %q is none of auto, address, published", cfg.Reach)
	}
	return nil
}

// introduce learns what kind of engine this is and hands its client to testcontainers.
func (r *Runtime) introduce(ctx context.Context) error {
	info, err := r.engine.Info(ctx, client.InfoOptions{})
	if err != nil {
		return fmt.Errorf("ask engine about itself: %w", err)
	}
	r.info = info.Info
	r.provider, err = testcontainers.NewDockerProvider(
		testcontainers.WithLogger(tclog.NewNoopLogger()),
		testcontainers.WithDefaultBridgeNetwork(testcontainers.Bridge),
	)
	if err != nil {
		return fmt.Errorf("prepare testcontainers: %w", err)
	}
	r.provider.SetClient(guarded{r.engine})
	return nil
}

// Name returns "docker".
func (r *Runtime) Name() string { return "docker" }

// Close ends the connections to the engine. It leaves containers alone; those belong to a Site.
func (r *Runtime) Close() error { return r.engine.Close() }

// Prepare finds, pulls or builds the image that members of this version run.
func (r *Runtime) Prepare(ctx context.Context, version string) (harness.Prepared, error) {
	found, err := r.prepare(ctx, version)
	return found.prepared, err
}

// prepare keeps what it found for every version. The default also stands for its own version by name, and an image that
// somebody named stands for no other.
func (r *Runtime) prepare(ctx context.Context, version string) (image, error) {
	version = release.Full(version)
	if version == "" || version == r.cfg.Version {
		return r.prepared(ctx, "", r.cfg.Image)
	}
	if r.cfg.Image != "" {
		if found, err := r.prepared(ctx, "", r.cfg.Image); err != nil || found.prepared.Version == version {
			return found, err
		}
	}
	return r.prepared(ctx, version, "")
}

func (r *Runtime) prepared(ctx context.Context, version, given string) (image, error) {
	return r.images.Do(ctx, version, func(ctx context.Context) (image, error) {
		ref, prepared, err := r.prepareImage(ctx, cmp.Or(version, r.cfg.Version), given)
		if prepared.Engine == "" {
			prepared.Engine = "docker " + r.info.ServerVersion
		}
		return image{ref: ref, prepared: prepared}, err
	})
}

// Abilities tells whether nodes can be frozen here.
func (r *Runtime) Abilities(context.Context) (harness.Abilities, error) {
	var abilities harness.Abilities
	switch {
	case r.info.OSType != "" && r.info.OSType != "linux":
		abilities.Freeze = harness.Unsupported("the engine runs " + r.info.OSType + " containers, which cannot be paused")
	case r.info.CgroupDriver == "none":
		abilities.Freeze = harness.Unsupported("the engine runs without cgroups, so it cannot pause containers")
	}
	return abilities, nil
}

// Sweep removes the containers, networks and volumes that carry the run's ID.
func (r *Runtime) Sweep(ctx context.Context, runID string) (int, error) {
	if runID == "" || strings.ContainsAny(runID, "= \t\n") {
		return 0, fmt.Errorf("sweep: %q is not the ID of a run", runID)
	}
	removed, err := r.remove(ctx, runID, everything)
	if err != nil {
		return removed, fmt.Errorf("sweep run %s: %w", runID, err)
	}
	return removed, nil
}
