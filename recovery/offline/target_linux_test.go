package offline

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// mountSmall mounts a file system of its own in a new folder.
func mountSmall(t *testing.T, size string, flags uintptr) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, "mode=700,size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestATargetOnAFileSystemOfItsOwn(t *testing.T) {
	root := mountSmall(t, "1m", 0)
	t.Run("its root", func(t *testing.T) { checkTarget(t, Target{DataDir: root}, 1, ErrMountRoot) })
	t.Run("a new folder in it", func(t *testing.T) { checkTarget(t, Target{DataDir: filepath.Join(root, "data")}, 1, nil) })
	t.Run("too small", func(t *testing.T) {
		checkTarget(t, Target{DataDir: filepath.Join(root, "data")}, 2<<20, recovery.ErrNoSpace)
	})
}

func TestATargetThatIsReadOnly(t *testing.T) {
	checkTarget(t, Target{DataDir: filepath.Join(mountSmall(t, "1m", unix.MS_RDONLY), "data")}, 1, ErrNotWritable)
}

func TestATargetOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		checkTarget(t, Target{DataDir: filepath.Join(dir, "data")}, 1, ErrNotWritable)
		checkTarget(t, Target{DataDir: "/proc/data"}, 1, ErrForeignOwner)
		return
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	checkTarget(t, Target{DataDir: filepath.Join(dir, "data")}, 1, ErrForeignOwner)
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	checkTarget(t, Target{DataDir: filepath.Join(dir, "data")}, 1, nil)
}
