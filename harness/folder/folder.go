// Package folder keeps disks in folders of this machine: the data directory of every member below one root. Runtimes whose
// members see this machine's files build their disks on it.
//
// It knows files and nothing of what runs on them.
package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/await"
)

// DataName is the name of the data directory on every disk.
const DataName = "data"

// ErrHasData refuses to mix two data directories.
var ErrHasData = fmt.Errorf("the disk has a data directory already: %w", fs.ErrExist)

// Root is the folder that holds the disks of one site.
type Root struct{ dir string }

// Open makes the folder, which only this user may enter. One that is there already is taken.
func Open(dir string) (*Root, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of disks: %w", err)
	}
	return &Root{dir: dir}, nil
}

// Dir returns the path of the folder.
func (r *Root) Dir() string { return r.dir }

// NewDisk makes an empty disk. The caller has made sure that the name is a valid one; a name that is taken is an error
// wrapping fs.ErrExist.
func (r *Root) NewDisk(name string) (*Disk, error) {
	dir := filepath.Join(r.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	return &Disk{name: name, dir: dir, root: r}, nil
}

// Erase removes all disks and the folder.
func (r *Root) Erase() error { return os.RemoveAll(r.dir) }

// Disk is the storage of one member. It does what harness.Disk asks for.
type Disk struct {
	name string
	dir  string
	root *Root
}

// Dir returns the folder of the disk, in which the data directory lies.
func (d *Disk) Dir() string { return d.dir }

// Data returns the path of the data directory, which need not exist.
func (d *Disk) Data() string { return filepath.Join(d.dir, DataName) }

// Fetch writes the content of the file, named relative to the data directory, to w. Symbolic links that lead out of the data
// directory are refused. A file that is not there is an error wrapping fs.ErrNotExist.
func (d *Disk) Fetch(_ context.Context, path string, w io.Writer) error {
	if err := d.fetch(path, w); err != nil {
		return fmt.Errorf("fetch %s from disk %s: %w", path, d.name, err)
	}
	return nil
}

func (d *Disk) fetch(path string, w io.Writer) (err error) {
	if err := CheckPath(path); err != nil {
		return err
	}
	root, err := os.OpenRoot(d.Data())
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

// Adopt makes the folder the data directory: it renames it where it can, and copies it where the disks are another file
// system. A disk that has data refuses with ErrHasData.
func (d *Disk) Adopt(ctx context.Context, dir string) error {
	if err := d.adopt(ctx, dir); err != nil {
		return fmt.Errorf("adopt %s as data of disk %s: %w", dir, d.name, err)
	}
	return nil
}

func (d *Disk) adopt(ctx context.Context, dir string) error {
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
	if os.Rename(dir, d.Data()) == nil {
		return nil
	}
	return d.copyIn(ctx, dir)
}

// copyIn copies beside the data directory and renames when all is there, so that no member starts on half of it.
func (d *Disk) copyIn(ctx context.Context, dir string) error {
	staging := filepath.Join(d.dir, "."+DataName)
	err := os.RemoveAll(staging)
	if err == nil {
		err = copyTree(ctx, dir, staging)
	}
	if err == nil {
		err = os.Rename(staging, d.Data())
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(staging))
	}
	return nil
}

// CopyTo copies the data directory, with the modes of its files, to another empty disk of the same root. Any other target,
// nil included, is refused.
func (d *Disk) CopyTo(ctx context.Context, to *Disk) error {
	if to == nil || to.root != d.root || to == d {
		return fmt.Errorf("copy disk %s: the target is not another disk of this site", d.name)
	}
	err := to.requireEmpty()
	if err == nil {
		err = to.copyIn(ctx, d.Data())
	}
	if err != nil {
		return fmt.Errorf("copy disk %s to %s: %w", d.name, to.name, err)
	}
	return nil
}

// Erase removes the data directory. A disk without one is no error.
func (d *Disk) Erase(context.Context) error {
	if err := os.RemoveAll(d.Data()); err != nil {
		return fmt.Errorf("erase disk %s: %w", d.name, err)
	}
	return nil
}

// unlinkWithin bounds the deletion of a directory in which somebody goes on making files.
const unlinkWithin = 10 * time.Second

// Unlink destroys the data directory under whoever works in it. A file that was made in the meantime is removed, too.
func (d *Disk) Unlink(ctx context.Context) error {
	gone := await.Condition{Name: "deletion of " + d.Data(), Every: time.Millisecond, Within: unlinkWithin}
	err := await.Until(ctx, gone, func(context.Context) error { return os.RemoveAll(d.Data()) })
	if err != nil {
		return fmt.Errorf("unlink disk %s: %w", d.name, err)
	}
	return nil
}

// requireEmpty removes an empty data directory and refuses one with content.
func (d *Disk) requireEmpty() error {
	err := os.Remove(d.Data())
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, unreadable := os.ReadDir(d.Data()); unreadable != nil {
		return err
	}
	return ErrHasData
}
