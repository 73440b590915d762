package drill

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// fileSystem names the kind of file system that a folder lies on.
func fileSystem(dir string) (string, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return "", err
	}
	name, known := map[int64]string{
		unix.TMPFS_MAGIC: tmpfs, unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
		unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.NFS_SUPER_MAGIC: "nfs",
	}[int64(stat.Type)] //nolint:unconvert // it is another type on other processors
	if !known {
		name = fmt.Sprintf("fs-%x", stat.Type)
	}
	return name, nil
}

// settleDisk waits until what was written before is on disk, so that it is in nobody's way.
func settleDisk(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(folder.Fd())), folder.Close())
}

// chill takes a file out of memory, for which nobody's leave is needed.
func chill(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED), file.Close())
}
