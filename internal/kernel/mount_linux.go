package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// oneFile is a file system that holds one file.
type oneFile struct {
	fs.Inode
	name string
	data []byte
}

var _ fs.NodeOnAdder = (*oneFile)(nil)

// OnAdd implements fs.NodeOnAdder: go-fuse calls it once, before anybody can look.
func (o *oneFile) OnAdd(ctx context.Context) {
	file := o.NewPersistentInode(ctx, &fs.MemRegularFile{Data: o.data}, fs.StableAttr{})
	o.AddChild(o.name, file, false)
}

// tryFUSE serves a file from this process and reads it through the kernel. It mounts without the help of a fusermount
// program: that would mount for others to see, and remove nothing if it were killed.
func tryFUSE(mark string) (string, error) {
	dir, err := stage()
	if err != nil {
		return "", err
	}
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0) // go-fuse does not say what it was that is missing
	if err != nil {
		return "", err
	}
	if err := device.Close(); err != nil {
		return "", err
	}
	options := &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: mark, Name: "etcd-drill"}}
	server, err := fs.Mount(dir, &oneFile{name: "file", data: []byte(mark)}, options)
	if err != nil {
		return "", fmt.Errorf("mount: %w", err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "file"))
	if err = errors.Join(err, server.Unmount()); err != nil {
		return "", err
	}
	if string(got) != mark {
		return "", fmt.Errorf("read a file of %d bytes: got %d other ones", len(mark), len(got))
	}
	return "mounted a file system of its own, read a file through it and unmounted it", nil
}

// tryTmpfs writes more to a tmpfs than it may hold.
func tryTmpfs(mark string) (string, error) {
	const limitBytes, chunkBytes = 1 << 20, 64 << 10
	dir, err := stage()
	if err != nil {
		return "", err
	}
	if err := unix.Mount(mark, dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%d", limitBytes)); err != nil {
		return "", fmt.Errorf("mount: %w", err)
	}
	file, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		return "", errors.Join(err, unix.Unmount(dir, 0))
	}
	written := 0
	for err == nil && written < 2*limitBytes {
		var n int
		n, err = file.Write(make([]byte, chunkBytes))
		written += n
	}
	full := errors.Is(err, syscall.ENOSPC)
	if full {
		err = nil
	}
	if err := errors.Join(err, file.Close(), unix.Unmount(dir, 0)); err != nil {
		return "", err
	}
	// A page is up to 64 KiB large, and some implementations count more than the pages of the file.
	if !full || written > limitBytes || written < limitBytes/2 {
		return "", fmt.Errorf("fill %d KiB: %d KiB fitted in", limitBytes>>10, written>>10)
	}
	return fmt.Sprintf("mounted one of %d KiB, which was full after %d KiB", limitBytes>>10, written>>10), nil
}
