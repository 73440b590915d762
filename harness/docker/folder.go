package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/moby/moby/api/types/mount"

	"github.com/etcd-drill/etcd-drill/harness"
)

// folders makes disks that are folders of this machine, mounted into containers that run as the user of this process, so
// that nothing in them ever belongs to somebody else.
type folders struct {
	root     string
	rootless bool
}

// user is this process's. In a rootless engine that user is called root.
func (f *folders) user() string {
	if f.rootless {
		return "0:0"
	}
	return strconv.Itoa(os.Getuid()) + ":" + strconv.Itoa(os.Getgid())
}

func (f *folders) newDisk(_ context.Context, name string) (mountable, error) {
	dir := filepath.Join(f.root, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	return &folder{name: name, dir: dir, store: f}, nil
}

func (f *folders) erase() error { return os.RemoveAll(f.root) }

// folder is a disk in a folder of this machine.
type folder struct {
	name  string
	dir   string
	store *folders
}

var _ mountable = (*folder)(nil)

// mount is of the kind that fails if the engine's machine lacks the folder, instead of making an empty one there.
func (d *folder) mount() mount.Mount {
	return mount.Mount{Type: mount.TypeBind, Source: d.dir, Target: diskMount}
}

func (d *folder) data() string { return filepath.Join(d.dir, dataName) }

// Fetch reads the file below the data directory; symbolic links that lead out of it are refused.
func (d *folder) Fetch(_ context.Context, path string, w io.Writer) error {
	if err := d.fetch(path, w); err != nil {
		return fmt.Errorf("fetch %s from disk %s: %w", path, d.name, err)
	}
	return nil
}

func (d *folder) fetch(path string, w io.Writer) (err error) {
	if err := checkPath(path); err != nil {
		return err
	}
	root, err := os.OpenRoot(d.data())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	file, err := root.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	_, err = io.Copy(w, file)
	return err
}

// Adopt renames the directory where it can, and copies it where the folder of disks is another file system.
func (d *folder) Adopt(ctx context.Context, dir string) error {
	if err := d.adopt(ctx, dir); err != nil {
		return fmt.Errorf("adopt %s as data of disk %s: %w", dir, d.name, err)
	}
	return nil
}

func (d *folder) adopt(ctx context.Context, dir string) error {
	if err := d.requireEmpty(); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("not a directory")
	}
	if os.Rename(dir, d.data()) == nil {
		return nil
	}
	return d.copyIn(ctx, dir)
}

// copyIn copies beside the data directory and renames when all is there, so that no member starts on half of it.
func (d *folder) copyIn(ctx context.Context, dir string) error {
	staging := filepath.Join(d.dir, "."+dataName)
	err := os.RemoveAll(staging)
	if err == nil {
		err = copyTree(ctx, dir, staging)
	}
	if err == nil {
		err = os.Rename(staging, d.data())
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(staging))
	}
	return nil
}

// CopyTo copies files with their modes.
func (d *folder) CopyTo(ctx context.Context, to harness.Disk) error {
	other, ok := to.(*folder)
	if !ok || other.store != d.store || other == d {
		return fmt.Errorf("copy disk %s: the target is not another disk of this site", d.name)
	}
	err := other.requireEmpty()
	if err == nil {
		err = other.copyIn(ctx, d.data())
	}
	if err != nil {
		return fmt.Errorf("copy disk %s to %s: %w", d.name, other.name, err)
	}
	return nil
}

// Erase removes the data directory.
func (d *folder) Erase(context.Context) error {
	if err := os.RemoveAll(d.data()); err != nil {
		return fmt.Errorf("erase disk %s: %w", d.name, err)
	}
	return nil
}

// requireEmpty removes an empty data directory and refuses one with content.
func (d *folder) requireEmpty() error {
	err := os.Remove(d.data())
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, unreadable := os.ReadDir(d.data()); unreadable != nil {
		return err
	}
	return errHasData
}
