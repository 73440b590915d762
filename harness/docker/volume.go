package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/folder"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// volumes makes disks that are volumes of the engine. Nothing of this machine needs to be visible there.
type volumes struct{ site *site }

// user is root: a fresh volume belongs to it, and no image tool is needed to change that.
func (v *volumes) user() string { return "0:0" }

func (v *volumes) erase() error { return nil } // the engine removes volumes by their label

// newDisk makes the volume and its keeper: a container that never starts and through which the engine reads and writes.
func (v *volumes) newDisk(ctx context.Context, name string) (mountable, error) {
	s := v.site
	d := &volume{name: name, volume: s.name(name), store: v}
	labels := s.labels(map[string]string{labelDisk: name})
	if err := s.run.Note("volume", d.volume); err != nil {
		return nil, err
	}
	whole, cancel := making(ctx)
	defer cancel()
	_, err := s.runtime.engine.VolumeCreate(whole, client.VolumeCreateOptions{Name: d.volume, Labels: labels})
	if err != nil {
		return nil, fmt.Errorf("create volume %s: %w", d.volume, err)
	}
	keeper, err := s.create(ctx, box{name: s.name("_disk." + name), labels: labels, mount: d.mount(), idle: true})
	if err != nil {
		return nil, err
	}
	d.keeper = keeper.GetContainerID()
	return d, nil
}

// volume is a disk on the engine's machine.
type volume struct {
	name   string
	volume string
	keeper string
	store  *volumes
}

var _ mountable = (*volume)(nil)

func (d *volume) mount() mount.Mount {
	return mount.Mount{
		Type:          mount.TypeVolume,
		Source:        d.volume,
		Target:        diskMount,
		VolumeOptions: &mount.VolumeOptions{NoCopy: true},
	}
}

func (d *volume) engine() *client.Client { return d.store.site.runtime.engine }

// Fetch reads one file of the archive that the engine sends. There is no symbolic link to follow on the disk: etcd makes
// none, and Adopt refuses them.
func (d *volume) Fetch(ctx context.Context, name string, w io.Writer) error {
	err := folder.CheckPath(name)
	if err == nil {
		err = d.fetch(ctx, name, w)
	}
	if err != nil {
		return fmt.Errorf("fetch %s from disk %s: %w", name, d.name, err)
	}
	return nil
}

func (d *volume) fetch(ctx context.Context, name string, w io.Writer) error {
	archive, err := d.read(ctx, path.Join(diskMount, folder.DataName, name))
	if err != nil {
		return err
	}
	defer archive.Close() //nolint:errcheck // only read
	entries := tar.NewReader(archive)
	header, err := entries.Next()
	if err != nil {
		return err
	}
	if header.Typeflag != tar.TypeReg {
		return errors.New("not a regular file")
	}
	_, err = io.Copy(w, entries)
	return err
}

// read returns the archive of a file or directory.
func (d *volume) read(ctx context.Context, path string) (io.ReadCloser, error) {
	found, err := d.engine().CopyFromContainer(ctx, d.keeper, client.CopyFromContainerOptions{SourcePath: path})
	if errdefs.IsNotFound(err) {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, err
	}
	return found.Content, nil
}

// Adopt sends the directory to the engine as an archive.
func (d *volume) Adopt(ctx context.Context, dir string) error {
	err := d.requireEmpty(ctx)
	if err == nil {
		reader, writer := io.Pipe()
		go func() { writer.CloseWithError(pack(ctx, dir, writer)) }()
		err = d.fill(ctx, reader)
		err = errors.Join(err, reader.Close())
	}
	if err != nil {
		return fmt.Errorf("adopt %s as data of disk %s: %w", dir, d.name, err)
	}
	return nil
}

// fill unpacks an archive whose one root is the data directory. If that fails half-way, no data directory remains.
func (d *volume) fill(ctx context.Context, archive io.Reader) error {
	_, err := d.engine().CopyToContainer(ctx, d.keeper, client.CopyToContainerOptions{
		DestinationPath: diskMount,
		Content:         archive,
	})
	if err == nil {
		return nil
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return errors.Join(err, d.erase(cleanup))
}

// CopyTo passes the archive of one disk on to the other.
func (d *volume) CopyTo(ctx context.Context, to harness.Disk) error {
	other, ok := to.(*volume)
	if !ok || other.store != d.store || other == d {
		return fmt.Errorf("copy disk %s: the target is not another disk of this site", d.name)
	}
	err := other.requireEmpty(ctx)
	if err == nil {
		err = d.copyTo(ctx, other)
	}
	if err != nil {
		return fmt.Errorf("copy disk %s to %s: %w", d.name, other.name, err)
	}
	return nil
}

func (d *volume) copyTo(ctx context.Context, other *volume) error {
	archive, err := d.read(ctx, path.Join(diskMount, folder.DataName))
	if err != nil {
		return err
	}
	defer archive.Close() //nolint:errcheck // only read
	return other.fill(ctx, archive)
}

// Erase replaces the data directory by an empty one.
func (d *volume) Erase(ctx context.Context) error {
	if err := d.erase(ctx); err != nil {
		return fmt.Errorf("erase disk %s: %w", d.name, err)
	}
	return nil
}

// Unlink replaces the data directory by an empty one under whoever works in it: the engine does not ask who runs.
func (d *volume) Unlink(ctx context.Context) error {
	gone := await.Condition{Name: "deletion of its data", Within: unlinkWithin} // a file can be made meanwhile
	if err := await.Until(ctx, gone, d.erase); err != nil {
		return fmt.Errorf("unlink disk %s: %w", d.name, err)
	}
	return nil
}

const unlinkWithin = 30 * time.Second

// erase needs no shell: the engine can be told to replace a directory by a file and the file by a directory, which removes
// everything below (Docker API, PutContainerArchive, noOverwriteDirNonDir). The outcome is checked.
func (d *volume) erase(ctx context.Context) error {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(packReplacement(writer)) }()
	_, err := d.engine().CopyToContainer(ctx, d.keeper, client.CopyToContainerOptions{
		DestinationPath:           diskMount,
		Content:                   reader,
		AllowOverwriteDirWithFile: true,
	})
	if err := errors.Join(err, reader.Close()); err != nil {
		return err
	}
	return d.requireEmpty(ctx)
}

// requireEmpty accepts an empty data directory and none.
func (d *volume) requireEmpty(ctx context.Context) error {
	archive, err := d.read(ctx, path.Join(diskMount, folder.DataName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer archive.Close() //nolint:errcheck // only read
	entries := tar.NewReader(archive)
	if _, err := entries.Next(); err != nil {
		return err
	}
	_, err = entries.Next()
	switch {
	case err == nil:
		return folder.ErrHasData
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}
