package offline

import (
	"errors"
	"fmt"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// TestADiskThatFillsUp lets every step of a restore meet a full disk. Restore looks before it begins; these are disks that
// somebody else fills in the meantime.
func TestADiskThatFillsUp(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 300)
	source, err := Check(ctx, testWorker(t, "serve"), recovery.SavedSnapshot, b.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 1), identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	noWorker := Worker{Path: "/nonexistent"} // what is refused before harm needs none
	for _, disk := range []struct {
		name  string
		bytes int64
		fits  bool
	}{
		{"while the source is copied", source.SizeBytes / 2, false},
		{"while its core is made", source.SizeBytes + 4<<10, false},
		{"while etcdutl copies the core", source.SizeBytes + 128<<10, false},
		{"while the log is made", source.SizeBytes + 32<<20, false},
		{"while the log's next segment is made, which nobody needs", source.SizeBytes + 96<<20, true},
		{"never", needBytes(source, 1) + 1<<20, true},
	} {
		t.Run(disk.name, func(t *testing.T) {
			scratch := mountSmall(t, fmt.Sprint(disk.bytes), 0)
			run := &restoreRun{worker: testWorker(t, "serve"), plan: plan, scratch: scratch}
			_, err := run.do(ctx)
			t.Log(err)
			if (err == nil) != disk.fits || err != nil && !errors.Is(err, recovery.ErrNoSpace) || recovery.ProvedBad(err) {
				t.Errorf("got %v (source proved bad: %t)", err, recovery.ProvedBad(err))
			}
			if disk.fits {
				return
			}
			recoverytest.AssertEmpty(t, scratch)
			if _, err := Restore(ctx, noWorker, plan, scratch); !errors.Is(err, recovery.ErrNoSpace) {
				t.Errorf("got %v from a disk that was small from the start", err)
			}
			recoverytest.AssertEmpty(t, scratch)
			if recoverytest.DigestOf(t, b.Snapshot) != source.SHA256 {
				t.Error("the source was changed")
			}
		})
	}
}
