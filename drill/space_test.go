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
	err := checkRoom(dir, spec, false)
	if !errors.Is(err, ErrNoSpace) {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{dir, "MiB free", "needs up to", "--out"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if err := checkRoom(dir, Spec{Members: 0}, false); err != nil {
		t.Errorf("nothing needs no space: %v", err)
	}
}

func TestSpaceOfAMissingFolderIsAnError(t *testing.T) {
	if err := checkRoom(t.TempDir()+"/none", DefaultSpec(), false); err == nil || errors.Is(err, ErrNoSpace) {
		t.Errorf("got %v", err)
	}
}

func TestTooLittleMemoryIsSaidWhereMembersTakeIt(t *testing.T) {
	spec := DefaultSpec()
	room := Room{DiskFreeBytes: spec.needBytes(), DiskNeedBytes: spec.needBytes(), MemoryNeedBytes: spec.needMemoryBytes()}
	room.MemoryFreeBytes = room.MemoryNeedBytes - 1
	if err := room.check("dir", spec, false); err != nil {
		t.Errorf("members on an engine take the memory of a machine that may be another: %v", err)
	}
	err := room.check("dir", spec, true)
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "MiB of memory free") || !strings.Contains(err.Error(), "--members") {
		t.Errorf("got %v", err)
	}
	room.MemoryFreeBytes++
	if err := room.check("dir", spec, true); err != nil {
		t.Error(err)
	}
}
