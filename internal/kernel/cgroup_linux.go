package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

var errNoCgroups = errors.New("no cgroups are mounted at " + cgroupRoot)

// tryCgroup makes a cgroup below the one of this process, and removes it.
func tryCgroup(mark string) (string, error) {
	version, home, err := cgroupHome()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(home, mark)
	if err := unix.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("%s: make a cgroup in %s: %w", version, home, err)
	}
	if err := unix.Rmdir(dir); err != nil {
		return "", fmt.Errorf("%s: remove a cgroup from %s: %w", version, home, err)
	}
	return fmt.Sprintf("%s: made a cgroup in %s and removed it", version, home), nil
}

// sweepCgroup removes the cgroup that a process left when it was killed in the middle of tryCgroup. Most leave none, and
// where none could be made there is none to remove.
func sweepCgroup(mark string) {
	if _, home, err := cgroupHome(); err == nil {
		_ = unix.Rmdir(filepath.Join(home, mark))
	}
}

// cgroupHome returns the version of cgroups that is mounted here and the folder of this process's own cgroup. With version 1
// there are several, of which one for a controller is returned that every distribution has.
func cgroupHome() (version, dir string, err error) {
	if fsType(cgroupRoot) == unix.CGROUP2_SUPER_MAGIC {
		dir, err = ownCgroup(cgroupRoot, "")
		return "version 2", dir, err
	}
	version = "version 1"
	if fsType(filepath.Join(cgroupRoot, "unified")) == unix.CGROUP2_SUPER_MAGIC {
		version = "hybrid"
	}
	for _, controller := range []string{"freezer", "pids", "memory"} {
		mount := filepath.Join(cgroupRoot, controller)
		if fsType(mount) == unix.CGROUP_SUPER_MAGIC {
			dir, err = ownCgroup(mount, controller)
			return version, dir, err
		}
	}
	return "", "", errNoCgroups
}

// fsType returns the magic number of the file system that holds the path; 0 if there is no such path.
func fsType(path string) int64 {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return 0
	}
	return int64(stat.Type) //nolint:unconvert // the type of the field depends on the architecture
}

// ownCgroup finds the cgroup of this process in the hierarchy of a controller, or of version 2 if that is empty. It is the
// root of the mount if the path that the kernel tells leads nowhere in it, as in a container that sees the host's paths.
func ownCgroup(mount, controller string) (string, error) {
	lines, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("%w: %w", errUnready, err)
	}
	for line := range bytes.Lines(lines) {
		fields := strings.SplitN(strings.TrimSuffix(string(line), "\n"), ":", 3) // number, controllers, path
		if len(fields) < 3 || !slices.Contains(strings.Split(fields[1], ","), controller) || strings.HasPrefix(fields[2], "/..") {
			continue
		}
		dir := filepath.Join(mount, fields[2])
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return dir, err
		}
	}
	return mount, nil
}
