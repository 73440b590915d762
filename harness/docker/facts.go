package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/moby/moby/client"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/folder"
)

// Facts is what an engine tells about itself, for whoever examines a machine.
type Facts struct {
	Host     string // where it listens
	Name     string // for example "docker 20.10.24"
	API      string // the version of its API that is spoken
	OS, Arch string // what it runs
	Cgroup   string // "1" or "2"; empty if it does not say
}

// Facts asks the engine.
func (r *Runtime) Facts(ctx context.Context) (Facts, error) {
	about, err := describeEngine(ctx, r.engine)
	if err != nil {
		return Facts{}, err
	}
	return Facts{
		Host: r.engine.DaemonHost(), Name: about.name, API: r.engine.ClientVersion(), OS: about.os, Arch: about.arch,
		Cgroup: r.info.CgroupVersion,
	}, nil
}

// Present looks for the image on the engine and neither pulls nor builds one. It returns an error wrapping ErrNoImage if the
// engine has none.
func (r *Runtime) Present(ctx context.Context) (prepared harness.Prepared, err error) {
	search := newImageSearch(r.engine, imageWish{image: r.cfg.Image, version: r.cfg.Version, cacheDir: r.cfg.CacheDir, log: r.cfg.Log})
	closeCache, err := search.openCache()
	if err != nil {
		return prepared, err
	}
	defer func() { err = errors.Join(err, closeCache()) }()
	engine, err := describeEngine(ctx, r.engine)
	if err != nil {
		return prepared, err
	}
	var found foundImage
	if search.image != "" {
		id, err := search.identify(ctx, search.image)
		if err != nil {
			return prepared, fmt.Errorf("%w: %w", ErrNoImage, err)
		}
		version, err := search.ask(ctx, engine, id)
		if err != nil {
			return prepared, fmt.Errorf("%w: %s: %w", ErrNoImage, search.image, err)
		}
		found = foundImage{ref: search.image, version: version, origin: "found on the engine"}
	} else {
		var here bool
		tried := &attempts{version: search.want}
		if found, here = search.onEngine(ctx, engine, tried); !here {
			return prepared, fmt.Errorf("%w of etcd %s on the engine: %w", ErrNoImage, search.want, errors.Join(tried.failed...))
		}
	}
	return harness.Prepared{Version: found.version, Origin: found.ref, Engine: engine.name}, nil
}

// Shares returns nil if the engine sees the folders of this machine, which it tries in the run's work folder, and the reason
// if it does not. It needs no image of etcd: it makes an empty one and takes it away again.
func (r *Runtime) Shares(ctx context.Context, run *harness.Run) (err error) {
	ref := "etcd-drill/empty:" + run.ID()
	if err := run.Note("image", ref); err != nil {
		return err
	}
	defer func() {
		_, gone := r.engine.ImageRemove(context.WithoutCancel(ctx), ref, client.ImageRemoveOptions{Force: true})
		if !isAbsent(gone) {
			err = errors.Join(err, gone)
		}
	}()
	if err := r.importEmpty(ctx, ref); err != nil {
		return fmt.Errorf("make empty image: %w", err)
	}
	root, err := folder.Open(filepath.Join(run.WorkDir(), "disks"))
	if err != nil {
		return err
	}
	s := &site{runtime: r, run: run, image: ref}
	folders := &folders{Root: root, rootless: r.has("rootless")}
	s.store = folders
	if err := s.probeSharing(ctx, folders); err != nil {
		return fmt.Errorf("share %s with the engine: %w", root.Dir(), err)
	}
	return nil
}

// importEmpty makes an image with one empty folder. Its label is that of the images that DropImages removes, in case nobody
// comes to take it away.
func (r *Runtime) importEmpty(ctx context.Context, ref string) error {
	body, feed := io.Pipe()
	go func() {
		archive := tar.NewWriter(feed)
		err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "disk/", Mode: 0o700})
		feed.CloseWithError(errors.Join(err, archive.Close()))
	}()
	answer, err := r.engine.ImageImport(ctx, client.ImageImportSource{Source: body, SourceName: "-"}, ref,
		client.ImageImportOptions{Changes: []string{"LABEL " + labelImageRecipe + "=empty", `CMD ["/none"]`}})
	if err != nil {
		return errors.Join(err, body.Close())
	}
	return errors.Join(checkAnswer(ref, answer), answer.Close())
}
