package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/await"
)

// shelf is the place of one version, OS and architecture in the cache folder. Whoever changes it holds its lock.
type shelf struct{ dir, key string }

// entry is what is kept beside the programs, in the file entryFile. It is written last, so its presence says that the
// programs are whole.
type entry struct {
	Recipe string        `json:"recipe"`
	Took   time.Duration `json:"tookNanoseconds"`
}

const entryFile = "build.json"

func (s shelf) path() string { return filepath.Join(s.dir, s.key) }

func (s shelf) binaries(version string, took time.Duration) Binaries {
	return Binaries{
		Version: version,
		Etcd:    filepath.Join(s.path(), "etcd"),
		Etcdctl: filepath.Join(s.path(), "etcdctl"),
		Etcdutl: filepath.Join(s.path(), "etcdutl"),
		Took:    took,
	}
}

// look returns the programs if they are here, whole and made by this recipe.
func (s shelf) look(version, recipe string) (Binaries, bool) {
	raw, err := os.ReadFile(filepath.Join(s.path(), entryFile))
	if err != nil {
		return Binaries{}, false
	}
	var e entry
	if json.Unmarshal(raw, &e) != nil || e.Recipe != recipe {
		return Binaries{}, false
	}
	found := s.binaries(version, e.Took)
	found.Cached = true
	for _, path := range []string{found.Etcd, found.Etcdctl, found.Etcdutl} {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || info.Mode()&0o100 == 0 {
			return Binaries{}, false
		}
	}
	return found, true
}

// staging is the folder in which one build happens. Everything that the go program writes of its own accord, apart from its
// own caches, goes in here, so that removing it removes all that a killed build left.
type staging struct{ dir string }

func (s staging) module() string { return filepath.Join(s.dir, "module") }
func (s staging) temp() string   { return filepath.Join(s.dir, "temp") }
func (s staging) bin() string    { return filepath.Join(s.dir, "bin") }
func (s staging) old() string    { return filepath.Join(s.dir, "old") }

// open makes a staging folder beside the entry, on the same file system, after removing those of builds that died: the
// caller holds the lock, so nobody is at work in them.
func (s shelf) open() (staging, error) {
	prefix := ".staging-" + s.key + "-"
	dead, err := filepath.Glob(filepath.Join(s.dir, prefix+"*"))
	if err != nil {
		return staging{}, fmt.Errorf("look for dead builds: %w", err)
	}
	for _, dir := range dead {
		if err := os.RemoveAll(dir); err != nil {
			return staging{}, fmt.Errorf("remove dead build: %w", err)
		}
	}
	dir, err := os.MkdirTemp(s.dir, prefix)
	if err != nil {
		return staging{}, fmt.Errorf("make staging folder: %w", err)
	}
	stage := staging{dir: dir}
	for _, sub := range []string{stage.module(), stage.temp(), stage.bin()} {
		if err := os.Mkdir(sub, 0o700); err != nil {
			return staging{}, errors.Join(fmt.Errorf("make staging folder: %w", err), os.RemoveAll(dir))
		}
	}
	return stage, nil
}

// remove tries for a while, because a compiler that was just killed can still be making its last file.
func (s staging) remove(ctx context.Context) error {
	c := await.Condition{Name: "removal of " + s.dir, Within: 5 * time.Second}
	return await.Until(context.WithoutCancel(ctx), c, func(context.Context) error { return os.RemoveAll(s.dir) })
}

// publish flushes the programs and renames them into place, in one step for everybody who looks.
func (s shelf) publish(stage staging, e entry) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("describe build: %w", err)
	}
	if err := os.WriteFile(filepath.Join(stage.bin(), entryFile), raw, 0o600); err != nil {
		return fmt.Errorf("describe build: %w", err)
	}
	for _, name := range []string{"etcd", "etcdctl", "etcdutl", entryFile} {
		if err := flush(filepath.Join(stage.bin(), name)); err != nil {
			return err
		}
	}
	// A directory cannot be renamed onto one that is not empty; an entry of an older recipe is moved out of the way.
	if err := os.Rename(s.path(), stage.old()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("put old build aside: %w", err)
	}
	if err := os.Rename(stage.bin(), s.path()); err != nil {
		return fmt.Errorf("put build into the cache: %w", err)
	}
	return nil
}

func flush(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("flush %s: %w", filepath.Base(path), err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("flush %s: %w", filepath.Base(path), err)
	}
	return nil
}
