package drill

import (
	"errors"
	"strings"
	"testing"
)

func TestSpaceGrowsWithMembersAndData(t *testing.T) {
	spec := DefaultSpec()
	base := spec.needBytes()
	if least := uint64(3 * 2 * 128 << 20); base < least || base > 2*least {
		t.Errorf("the default drill is said to need %d MiB; two write-ahead segments for each of 6 directories are %d MiB", base>>20, least>>20)
	}
	more, bigger := spec, spec
	more.Members *= 3
	bigger.ValueBytes *= 100
	for name, grown := range map[string]Spec{"three times the members": more, "a hundred times the data": bigger} {
		if need := grown.needBytes(); need < 2*base {
			t.Errorf("%s need %d MiB, and %d MiB before", name, need>>20, base>>20)
		}
	}
}

func TestTooLittleSpaceIsSaidBeforehand(t *testing.T) {
	dir, spec := t.TempDir(), DefaultSpec()
	spec.Keys, spec.ValueBytes = 1<<30, 1<<20 // a petabyte
	err := checkSpace(dir, spec)
	if !errors.Is(err, ErrNoSpace) {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{dir, "MiB free", "needs up to", "--out"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if err := checkSpace(dir, Spec{Members: 0}); err != nil {
		t.Errorf("nothing needs no space: %v", err)
	}
}

func TestSpaceOfAMissingFolderIsAnError(t *testing.T) {
	if err := checkSpace(t.TempDir()+"/none", DefaultSpec()); err == nil || errors.Is(err, ErrNoSpace) {
		t.Errorf("got %v", err)
	}
}
