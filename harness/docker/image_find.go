package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/moby/moby/client"
)

// The labels of an image that is built here.
const (
	labelImageVersion = "io.etcd-drill.etcd"
	labelImageRecipe  = "io.etcd-drill.recipe"
)

// engineFacts tell what the engine is and for what it needs programs.
type engineFacts struct{ name, os, arch string }

// describeEngine asks the engine, not this machine: the engine may be elsewhere, and of another architecture.
func describeEngine(ctx context.Context, engine *client.Client) (engineFacts, error) {
	v, err := engine.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return engineFacts{}, fmt.Errorf("ask engine for its version: %w", err)
	}
	name := "docker"
	for _, component := range v.Components {
		if strings.Contains(strings.ToLower(component.Name), "podman") {
			name = "podman"
		}
	}
	number, _, _ := strings.Cut(v.Version, "+") // what a distribution appends
	return engineFacts{name: name + " " + number, os: v.Os, arch: v.Arch}, nil
}

// identify returns the ID of an image that the engine has; isAbsent tells that it has none.
func (s *imageSearch) identify(ctx context.Context, ref string) (string, error) {
	inspected, err := s.engine.ImageInspect(ctx, ref)
	if err != nil {
		return "", fmt.Errorf("look for image %s: %w", ref, err)
	}
	return inspected.ID, nil
}

func isAbsent(err error) bool { return cerrdefs.IsNotFound(err) }

// onEngine looks for an image that counts without being asked for: by our label and the present recipe, or by an official
// tag. No other name counts, because anything may hide behind it.
func (s *imageSearch) onEngine(ctx context.Context, engine engineFacts, tried *attempts) (foundImage, bool) {
	before := len(tried.failed)
	own, err := s.labelled(ctx)
	if err != nil {
		tried.note("image with our label on the engine", err)
	}
	for _, ref := range append(own, s.official...) {
		id, err := s.identify(ctx, ref)
		if isAbsent(err) {
			continue
		}
		if err == nil {
			err = s.confirm(ctx, engine, id)
		}
		if err != nil {
			tried.note("image "+ref+" on the engine", err)
			continue
		}
		return foundImage{ref: ref, version: s.want, origin: "found on the engine"}, true
	}
	if len(tried.failed) == before {
		tried.note("the engine", errors.New("it has neither an image with our label nor "+strings.Join(s.official, " nor ")))
	}
	return foundImage{}, false
}

// labelled lists the images that were built here, each by a name if it has one.
func (s *imageSearch) labelled(ctx context.Context) ([]string, error) {
	if s.recipe == "" {
		return nil, nil
	}
	list, err := s.engine.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.
		Add("label", labelImageVersion+"="+s.want, labelImageRecipe+"="+s.recipe)})
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	var refs []string
	for _, image := range list.Items {
		ref := image.ID
		for _, tag := range image.RepoTags {
			if !strings.Contains(tag, "<none>") {
				ref = tag
				break
			}
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// confirm has the image say that it holds the wanted version.
func (s *imageSearch) confirm(ctx context.Context, engine engineFacts, id string) error {
	version, err := s.ask(ctx, engine, id)
	if err != nil {
		return err
	}
	if version != s.want {
		return fmt.Errorf("it holds etcd %s", version)
	}
	return nil
}

// built makes an image from programs that are built for the engine.
func (s *imageSearch) built(ctx context.Context, engine engineFacts, tried *attempts) (foundImage, bool) {
	programs, err := s.build(ctx, release.Request{
		Version: s.want, OS: engine.os, Arch: engine.arch, CacheDir: s.cacheDir, Progress: s.progress,
	})
	if err != nil {
		tried.note("module source", err)
		return foundImage{}, false
	}
	ref := s.repository + ":" + s.want
	if err := s.load(ctx, ref, programs); err != nil {
		tried.note("image of the built programs", err)
		return foundImage{}, false
	}
	id, err := s.identify(ctx, ref)
	if err == nil {
		err = s.confirm(ctx, engine, id)
	}
	if err != nil {
		// Left where it is, the next run would find it by its label, and fail on it first.
		tried.note("image of the built programs", errors.Join(err, s.discard(ctx, ref)))
		return foundImage{}, false
	}
	return foundImage{ref: ref, version: s.want, origin: programs.Origin()}, true
}
