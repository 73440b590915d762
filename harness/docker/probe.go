package docker

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/etcd-drill/etcd-drill/harness/folder"
)

// openStorage decides where disks lie. Folders of this machine are cheapest, and are taken if the engine sees them.
func (s *site) openStorage(ctx context.Context) error {
	cfg := s.runtime.cfg
	if cfg.Sharing != SharingVolume {
		root, err := folder.Open(filepath.Join(s.run.WorkDir(), "disks"))
		if err != nil {
			return err
		}
		folders := &folders{Root: root, rootless: s.runtime.has("rootless")}
		s.store = folders
		err = s.probeSharing(ctx, folders)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || cfg.Sharing == SharingBind {
			return fmt.Errorf("share %s with the engine: %w", folders.Dir(), err)
		}
		cfg.Log.Info("folders are not shared with the engine, using volumes", "reason", err)
	}
	s.store = &volumes{site: s}
	return nil
}

// probeSharing writes a random word into the folder of disks and reads it through the engine. A bind mount of a folder that
// the engine's machine lacks is an error; one that exists there too but is another folder shows another content.
func (s *site) probeSharing(ctx context.Context, folders *folders) (err error) {
	if s.runtime.has("userns") {
		return errors.New("the engine maps users, so files of members would belong to others")
	}
	const name = "shared"
	word := rand.Text()
	if err := os.WriteFile(filepath.Join(folders.Dir(), name), []byte(word), 0o600); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(filepath.Join(folders.Dir(), name))) }()
	probe, err := s.create(ctx, box{
		name:   s.name("_probe"),
		labels: s.labels(),
		mount:  mount.Mount{Type: mount.TypeBind, Source: folders.Dir(), Target: diskMount, ReadOnly: true},
		idle:   true,
	})
	if err != nil {
		return err
	}
	id := probe.GetContainerID()
	read, err := s.runtime.readFile(ctx, id, diskMount+"/"+name)
	_, gone := s.runtime.engine.ContainerRemove(context.WithoutCancel(ctx), id, client.ContainerRemoveOptions{Force: true})
	if err == nil && string(read) != word {
		err = errors.New("the engine sees another folder under this path")
	}
	return errors.Join(err, gone)
}

// readFile reads a small file of a container.
func (r *Runtime) readFile(ctx context.Context, id, path string) ([]byte, error) {
	found, err := r.engine.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: path})
	if err != nil {
		return nil, err
	}
	defer found.Content.Close() //nolint:errcheck // only read
	archive := tar.NewReader(found.Content)
	if _, err := archive.Next(); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(archive, 1<<20))
}
