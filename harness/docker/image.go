package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/moby/moby/client"
)

// ErrNoImage says that no image of etcd could be had. The error that wraps it lists what was tried, why each attempt
// came to nothing, and what to do.
var ErrNoImage = errors.New("no image")

// prepareImage finds or makes an image of etcd and has it say its version. The order is: the image that was asked for
// and no other; an image on the engine by our label or an official tag; the official image from its registries; programs
// built from etcd's module source.
func (r *Runtime) prepareImage(ctx context.Context, version, given string) (ref string, prepared harness.Prepared, err error) {
	search := newImageSearch(r.engine, imageWish{
		image: given, version: version, cacheDir: r.cfg.CacheDir, progress: r.cfg.Progress, log: r.cfg.Log,
	})
	ref, prepared, err = search.run(ctx)
	if err != nil {
		return "", harness.Prepared{}, fmt.Errorf("prepare image: %w", err)
	}
	return ref, prepared, nil
}

// imageWish is what the user said about the image.
type imageWish struct {
	image    string // the only one that will do; empty for any
	version  string // empty for the default, or for whatever a given image holds
	cacheDir string // empty to keep nothing
	progress func(string)
	log      *slog.Logger
}

// pullStall is how long a pull may bring nothing before it is given up. It is short because building is the way out, and
// because a registry that is alive shows progress several times a second.
const pullStall = 10 * time.Second

// imageSearch is one search for an image. What is a field beyond the wish is one so that tests can change it.
type imageSearch struct {
	imageWish
	engine     *client.Client
	want       string   // the version; of a given image only if it was asked for
	official   []string // references of the official image
	repository string   // of the image that is built here
	recipe     string   // marks what an image that is built here is made of; empty if it cannot be built
	stall      time.Duration
	build      func(context.Context, release.Request) (release.Binaries, error)
}

func newImageSearch(engine *client.Client, wish imageWish) *imageSearch {
	if wish.progress == nil {
		wish.progress = func(string) {}
	}
	if wish.log == nil {
		wish.log = slog.New(slog.DiscardHandler)
	}
	s := &imageSearch{
		imageWish: wish, engine: engine, want: wish.version,
		repository: "etcd-drill/etcd", stall: pullStall, build: release.Build,
	}
	if s.want == "" && s.image == "" {
		s.want = release.Default
	}
	// Both are published by etcd's scripts/build-docker.sh and release.sh.
	s.official = []string{"gcr.io/etcd-development/etcd:v" + s.want, "quay.io/coreos/etcd:v" + s.want}
	// A version that is not pinned can still be found or pulled; building it fails later, with release's own words.
	if recipe, err := release.Recipe(s.want); err == nil {
		s.recipe = recipe + "." + rootRecipe
	}
	return s
}

// foundImage is an image that has said its version.
type foundImage struct{ ref, version, origin string }

func (s *imageSearch) run(ctx context.Context) (_ string, _ harness.Prepared, err error) {
	closeCache, err := s.openCache()
	if err != nil {
		return "", harness.Prepared{}, err
	}
	defer func() { err = errors.Join(err, closeCache()) }()
	engine, err := describeEngine(ctx, s.engine)
	if err != nil {
		return "", harness.Prepared{}, err
	}
	find := s.any
	if s.image != "" {
		find = s.given
	}
	found, err := find(ctx, engine)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.Join(context.Cause(ctx), err)
		}
		return "", harness.Prepared{}, err
	}
	s.log.Debug("image prepared", "ref", found.ref, "version", found.version, "origin", found.origin)
	return found.ref, harness.Prepared{Version: found.version, Origin: found.origin, Engine: engine.name}, nil
}

// openCache makes the cache folder. Without one a temporary folder takes its place, so that everything is done anew each time.
func (s *imageSearch) openCache() (closeCache func() error, err error) {
	if s.cacheDir == "" {
		if s.cacheDir, err = os.MkdirTemp("", "etcd-drill-"); err != nil {
			return nil, fmt.Errorf("make folder in place of a cache: %w", err)
		}
		return func() error { return os.RemoveAll(s.cacheDir) }, nil
	}
	if err := os.MkdirAll(s.cacheDir, 0o700); err != nil {
		return nil, fmt.Errorf("make cache folder: %w", err)
	}
	return func() error { return nil }, nil
}

// given insists on the image that was asked for.
func (s *imageSearch) given(ctx context.Context, engine engineFacts) (foundImage, error) {
	origin := "found on the engine"
	id, err := s.identify(ctx, s.image)
	if isAbsent(err) {
		origin = "pulled"
		if err = s.pull(ctx, s.image); err == nil {
			id, err = s.identify(ctx, s.image)
		}
		if err != nil {
			err = fmt.Errorf("it is not on the engine, and %w", err)
		}
	}
	if err != nil {
		return foundImage{}, fmt.Errorf("%w %s: %w; load it into the engine, or leave --image away to have one found or built",
			ErrNoImage, s.image, err)
	}
	version, err := s.ask(ctx, engine, id)
	if err != nil {
		return foundImage{}, fmt.Errorf("%w of etcd: %s: %w; give another one with --image", ErrNoImage, s.image, err)
	}
	if s.want != "" && version != s.want {
		return foundImage{}, fmt.Errorf("%w of etcd %s: %s holds etcd %s; give another one with --image, or ask for version %s",
			ErrNoImage, s.want, s.image, version, version)
	}
	return foundImage{ref: s.image, version: version, origin: origin}, nil
}

// any takes the first image that will do.
func (s *imageSearch) any(ctx context.Context, engine engineFacts) (_ foundImage, err error) {
	tried := &attempts{version: s.want}
	if found, ok := s.onEngine(ctx, engine, tried); ok {
		return found, nil
	}
	if ctx.Err() != nil {
		return foundImage{}, tried.err()
	}
	// From here on it is long work, which two runs must not do twice.
	unlock, err := release.Lock(ctx, filepath.Join(s.cacheDir, "image-"+fileName(s.want)+".lock"), s.progress)
	if err != nil {
		return foundImage{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	tried = &attempts{version: s.want}
	for _, step := range []func(context.Context, engineFacts, *attempts) (foundImage, bool){s.onEngine, s.pulled, s.built} {
		if found, ok := step(ctx, engine, tried); ok {
			found.origin = tried.registry + found.origin
			return found, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return foundImage{}, tried.err()
}

// attempts remembers what was tried in vain.
type attempts struct {
	version  string
	failed   []error
	registry string // what to say about the registries in an origin; empty, or ends with "; "
}

func (a *attempts) note(what string, err error) {
	a.failed = append(a.failed, fmt.Errorf("%s: %w", what, err))
}

func (a *attempts) err() error {
	return fmt.Errorf("%w of etcd %s; tried:\n%w\ngive an image that the engine has or can pull with --image",
		ErrNoImage, a.version, errors.Join(a.failed...))
}
