package docker

import (
	"context"
	"os"
	"strconv"

	"github.com/moby/moby/api/types/mount"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/folder"
)

// folders makes disks that are folders of this machine, mounted into containers that run as the user of this process, so
// that nothing in them ever belongs to somebody else.
type folders struct {
	*folder.Root
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
	disk, err := f.NewDisk(name)
	if err != nil {
		return nil, err
	}
	return &bound{disk}, nil
}

func (f *folders) erase() error { return f.Erase() }

// bound is a disk in a folder of this machine.
type bound struct{ *folder.Disk }

var _ mountable = (*bound)(nil)

// mount is of the kind that fails if the engine's machine lacks the folder, instead of making an empty one there.
func (d *bound) mount() mount.Mount {
	return mount.Mount{Type: mount.TypeBind, Source: d.Dir(), Target: diskMount}
}

// CopyTo copies to another folder of the same site.
func (d *bound) CopyTo(ctx context.Context, to harness.Disk) error {
	if other, ok := to.(*bound); ok {
		return d.Disk.CopyTo(ctx, other.Disk)
	}
	return d.Disk.CopyTo(ctx, nil)
}
