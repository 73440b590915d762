package offline

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// setting makes what a case wants in a folder of its own and returns the target in it.
type setting func(t *testing.T, folder string) Target

func in(name string) setting {
	return func(_ *testing.T, folder string) Target { return Target{DataDir: filepath.Join(folder, name)} }
}

// holding makes files and folders, which end with a slash, in the folder of the target.
func holding(names ...string) setting {
	return func(t *testing.T, folder string) Target {
		for _, name := range names {
			path := filepath.Join(folder, name)
			err := os.MkdirAll(filepath.Dir(path), 0o700)
			if strings.HasSuffix(name, "/") {
				err = errors.Join(err, os.Mkdir(path, 0o700))
			} else {
				err = errors.Join(err, os.WriteFile(path, []byte("precious"), 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return Target{DataDir: filepath.Join(folder, "data")}
	}
}

func TestATargetIsRefusedBeforeHarm(t *testing.T) {
	withLog := func(make setting) setting {
		return func(t *testing.T, folder string) Target {
			target := make(t, folder)
			target.WALDir = filepath.Join(folder, "wal")
			return target
		}
	}
	cases := []struct {
		name string
		make setting
		need int64
		want error
	}{
		{"a new folder", in("data"), 1, nil},
		{"a new folder, and one for the log", withLog(in("data")), 1, nil},
		{"a new folder, and one in it for the log", func(_ *testing.T, folder string) Target {
			return Target{DataDir: filepath.Join(folder, "data"), WALDir: filepath.Join(folder, "data", "wal")}
		}, 1, nil},
		{"an empty folder", holding("data/"), 1, ErrTargetTaken},
		{"a folder with something in it", holding("data/member/snap/db"), 1, ErrTargetTaken},
		{"a file", holding("data"), 1, ErrTargetTaken},
		{"a log directory that is there", withLog(holding("wal/")), 1, ErrTargetTaken},
		{"a dangling link", func(t *testing.T, folder string) Target {
			if err := os.Symlink("nowhere", filepath.Join(folder, "data")); err != nil {
				t.Fatal(err)
			}
			return in("data")(t, folder)
		}, 1, ErrTargetTaken},
		{"a new file system", holding("data/lost+found/"), 1, ErrMountRoot},
		{"no folder", in("missing/data"), 1, ErrNotWritable},
		{"a folder that is a file", func(t *testing.T, folder string) Target {
			holding("data")(t, folder)
			return in("data/data")(t, folder)
		}, 1, ErrNotWritable},
		{"a disk that is too small", in("data"), math.MaxInt64, recovery.ErrNoSpace},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			folder := t.TempDir()
			target := c.make(t, folder)
			checkTarget(t, target, c.need, c.want)
		})
	}
}

// checkTarget wants this answer, and everything as it was.
func checkTarget(t *testing.T, target Target, need int64, want error) {
	t.Helper()
	folder := filepath.Dir(target.DataDir)
	before := treeOf(folder)
	err := target.Check(need)
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("got %v, want %v", err, want)
	}
	if taken := errors.Is(want, ErrTargetTaken) || errors.Is(want, ErrMountRoot); taken != errors.Is(err, fs.ErrExist) {
		t.Errorf("%v is fs.ErrExist: %t", err, !taken)
	}
	if after := treeOf(folder); after != before {
		t.Errorf("the folder held %s, and now %s", before, after)
	}
	if err != nil {
		t.Log(err)
	}
}

// treeOf names everything in a folder.
func treeOf(folder string) string {
	names := ""
	_ = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, _ error) error { // what cannot be read has a name, too
		names += path + "\n"
		return nil
	})
	return names
}
