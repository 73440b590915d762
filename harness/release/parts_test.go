package release

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestPinnedListsTheDefaultAndEveryVersionIsWhole(t *testing.T) {
	versions := Pinned()
	if len(versions) == 0 || versions[0] != Default {
		t.Fatalf("got %q, want %s first", versions, Default)
	}
	recipes := map[string]string{}
	for _, version := range versions {
		p, err := pinsOf(version)
		if err != nil {
			t.Fatal(err)
		}
		for _, pkg := range packages() {
			if !strings.Contains(string(p.mod), pkg+" v"+version+"\n") || !strings.Contains(string(p.sum), pkg+" v"+version+" h1:") {
				t.Errorf("%s: %s is not pinned", version, pkg)
			}
		}
		recipe, err := Recipe(version)
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := recipes[recipe]; taken {
			t.Errorf("%s and %s have one recipe", version, other)
		}
		recipes[recipe] = version
	}
}

func TestAShortVersionMeansTheNewestPinnedOneOfItsMinor(t *testing.T) {
	for asked, want := range map[string]string{
		"": "", "3": "3", "3.7": Default, "3.6": "3.6.16", "3.5": "3.5.35", "3.5.0": "3.5.0", "3.99": "3.99", Default: Default,
	} {
		if got := Full(asked); got != want {
			t.Errorf("%q became %q, want %q", asked, got, want)
		}
	}
}

func TestAnEtcdutlIsOfTheVersionOrOfItsMinor(t *testing.T) {
	tools := Tools{CacheDir: t.TempDir()}
	for _, version := range Pinned() {
		store := shelf{dir: tools.CacheDir, key: "etcd-" + version + "-" + runtime.GOOS + "-" + runtime.GOARCH}
		recipe, err := Recipe(version)
		if err != nil {
			t.Fatal(err)
		}
		stage, err := store.open()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range programs() {
			if err := os.WriteFile(filepath.Join(stage.bin(), name), []byte(version), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.publish(stage, entry{Recipe: recipe}); err != nil {
			t.Fatal(err)
		}
	}
	for asked, want := range map[string]string{"3.6.16": "3.6.16", "3.6.1": "3.6.16", "3.5": "3.5.35", "3.7.4-rc.0": Default} {
		path, err := tools.Etcdutl(t.Context(), asked)
		if err != nil {
			t.Errorf("%s: %v", asked, err)
			continue
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: got that of %s, %v; want %s", asked, got, err, want)
		}
	}
	if _, err := tools.Etcdutl(t.Context(), "3.4.38"); !errors.Is(err, ErrUnknownVersion) {
		t.Errorf("got %v for a minor that is not pinned", err)
	}
}

func TestShelfReusesOnlyWhatIsWholeAndOfTheSameRecipe(t *testing.T) {
	store := shelf{dir: t.TempDir(), key: "etcd-1-plan9-mips"}
	put := func(recipe string) {
		stage, err := store.open()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range programs() {
			if err := os.WriteFile(filepath.Join(stage.bin(), name), []byte(recipe), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.publish(stage, entry{Recipe: recipe, Took: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if err := stage.remove(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := store.look("1", "a"); ok {
		t.Fatal("an empty shelf has programs")
	}
	put("a")
	found, ok := store.look("1", "a")
	if !ok || !found.Cached || found.Took != time.Minute || found.Etcdutl != filepath.Join(store.path(), "etcdutl") {
		t.Fatalf("got %+v, %v", found, ok)
	}
	if _, ok := store.look("1", "b"); ok {
		t.Error("programs of another recipe are reused")
	}
	put("b")
	if _, ok := store.look("1", "b"); !ok {
		t.Error("a new recipe does not replace the old one")
	}
	leftOnly(t, store.dir, store.key)
	if err := os.Truncate(found.Etcdctl, 0); err != nil {
		t.Fatal(err)
	}
	if _, ok := store.look("1", "b"); ok {
		t.Error("an empty program is reused")
	}
}

func TestOpenRemovesWhatDeadBuildsLeft(t *testing.T) {
	store := shelf{dir: t.TempDir(), key: "etcd-1-plan9-mips"}
	dead, err := store.open()
	if err != nil {
		t.Fatal(err)
	}
	other, err := shelf{dir: store.dir, key: "etcd-2-plan9-mips"}.open()
	if err != nil {
		t.Fatal(err)
	}
	stage, err := store.open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead build is still there: %v", err)
	}
	for _, dir := range []string{other.dir, stage.dir} {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
}

func TestLockExcludesAndCanBeGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	seen := &recorder{}
	unlock, err := Lock(t.Context(), path, seen.progress)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, path, seen.progress); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errHeld) {
		t.Errorf("second holder: got %v", err)
	}
	if !seen.mentions(path) {
		t.Errorf("the waiting was not reported: %q", seen.lines)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = Lock(t.Context(), path, seen.progress)
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

func TestOutputCountsLinesHoweverTheyAreCut(t *testing.T) {
	count := &counter{}
	o := &output{count: count, prefix: "go: downloading "}
	for _, part := range []string{"go: down", "loading a v1\ngo: downloading b v1", "\nnoise\nlast", " words"} {
		if n, err := o.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	if count.get() != 2 {
		t.Errorf("counted %d downloads", count.get())
	}
	if last := o.last(); !strings.HasSuffix(last, "noise\nlast words") {
		t.Errorf("last words are %q", last)
	}
	for range keepLines * 2 {
		_, _ = o.Write([]byte("x\n"))
	}
	if got := strings.Count(o.last(), "\n") + 1; got != keepLines {
		t.Errorf("kept %d lines", got)
	}
}

func TestParseVersion(t *testing.T) {
	got, err := ParseVersion("etcd Version: 3.7.3\r\nGit SHA: Not provided (use ./build instead of go build)\n")
	if err != nil || got != "3.7.3" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := ParseVersion("exec format error"); err == nil || !strings.Contains(err.Error(), "exec format error") {
		t.Errorf("got %v", err)
	}
}
