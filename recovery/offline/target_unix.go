//go:build unix

package offline

import (
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// onOtherDevice tells whether a folder is on another file system than the one that it lies in.
func onOtherDevice(dir string) bool {
	var own, parent unix.Stat_t
	return unix.Stat(dir, &own) == nil && unix.Stat(filepath.Dir(dir), &parent) == nil && own.Dev != parent.Dev
}

// foreignOwner returns the owner of a folder and whether that is somebody else. A folder with the sticky bit is everybody's.
func foreignOwner(info fs.FileInfo) (uid int, foreign bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode()&fs.ModeSticky != 0 {
		return 0, false
	}
	return int(stat.Uid), int(stat.Uid) != os.Geteuid()
}

// freeBytes is what this user may still write.
func freeBytes(dir string) (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, err
	}
	blocks, size := uint64(stat.Bavail), uint64(stat.Bsize) //nolint:unconvert // the types depend on the operating system
	if size > 0 && blocks > math.MaxInt64/size {
		return math.MaxInt64, nil
	}
	return int64(blocks * size), nil
}
