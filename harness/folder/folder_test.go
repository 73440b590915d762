package folder

import (
	"os"
	"path/filepath"
	"testing"
)

// TestAdoptCopiesFromAnotherFileSystem takes the way that a rename cannot: the copy, here of a tree that has to be refused
// half-way, which must leave no data directory.
func TestAdoptCopiesFromAnotherFileSystem(t *testing.T) {
	root, err := Open(t.TempDir())
	check(t, err)
	d, err := root.NewDisk("d1")
	check(t, err)
	source := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(source, "a", "b"), 0o700))
	check(t, os.WriteFile(filepath.Join(source, "a", "file"), []byte("content"), 0o640))
	check(t, os.Symlink("file", filepath.Join(source, "a", "link")))
	if err := d.copyIn(t.Context(), source); err == nil {
		t.Error("a symbolic link was copied")
	}
	if left, err := os.ReadDir(d.dir); err != nil || len(left) != 0 {
		t.Errorf("after a refused copy the disk holds %v, %v", left, err)
	}
	check(t, os.Remove(filepath.Join(source, "a", "link")))
	check(t, d.copyIn(t.Context(), source))
	info, err := os.Stat(filepath.Join(d.Data(), "a", "file"))
	check(t, err)
	if info.Mode().Perm() != 0o640 {
		t.Errorf("the copy's mode is %s", info.Mode())
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
