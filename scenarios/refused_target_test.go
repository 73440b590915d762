package scenarios_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// Where a restore is to be made is looked at before it is made: etcdutl finds out when it has copied the backup, and leaves
// half of it where a member may be started on it.
var _ = Describe("a bad target", Label("disaster:bad-target"), func() {
	DescribeTable("is refused by name before anything is done, and left as it was",
		Label("B14", "issue:etcd#11618", "issue:kamaji-etcd#141"),
		func(ctx SpecContext, make func(scratch string) string, want error) {
			relic, scratch := remains(ctx), GinkgoT().TempDir()
			scratch = make(scratch)
			before := namesIn(scratch)
			plan := relic.planned(ctx, harness.HostPlaces{}, 1)

			_, err := offline.Restore(ctx, offline.Worker{Path: "/nonexistent"}, plan, scratch)
			Expect(err).To(And(MatchError(want), MatchError(ContainSubstring("; "))), "what is wrong, and what to do")
			Expect(namesIn(scratch)).To(Equal(before))
			Expect(digestOf(relic.snapshot)).To(Equal(plan.Source.SHA256))
		},
		Entry("a folder with something in it", Label("via:full-folder"), SpecTimeout(time.Minute), func(scratch string) string {
			Expect(os.MkdirAll(filepath.Join(scratch, "m1", "member"), 0o700)).To(Succeed())
			return scratch
		}, offline.ErrTargetTaken),
		Entry("a file", Label("via:file"), SpecTimeout(time.Minute), func(scratch string) string {
			Expect(os.WriteFile(filepath.Join(scratch, "m1"), []byte("precious"), 0o600)).To(Succeed())
			return scratch
		}, offline.ErrTargetTaken),
		Entry("the root of a file system that was just made", Label("via:lost-and-found"), SpecTimeout(time.Minute), func(scratch string) string {
			Expect(os.MkdirAll(filepath.Join(scratch, "m1", "lost+found"), 0o700)).To(Succeed())
			return scratch
		}, offline.ErrMountRoot),
		Entry("the root of a file system that is empty", Label("via:mount-root"), SpecTimeout(time.Minute), func(scratch string) string {
			target := filepath.Join(scratch, "m1")
			Expect(os.Mkdir(target, 0o700)).To(Succeed())
			mount(target, mountOf{sizeBytes: 1 << 20})
			return scratch
		}, offline.ErrMountRoot),
		Entry("a file system that is read-only", Label("via:read-only"), SpecTimeout(time.Minute), func(scratch string) string {
			mount(scratch, mountOf{sizeBytes: 1 << 20, readOnly: true})
			return scratch
		}, offline.ErrNotWritable),
		Entry("a folder of another user", Label("via:another-users-folder"), SpecTimeout(time.Minute), func(scratch string) string {
			asRoot()
			Expect(os.Chown(scratch, 12345, 12345)).To(Succeed())
			return scratch
		}, offline.ErrForeignOwner),
		Entry("a folder that is not there", Label("via:no-folder"), SpecTimeout(time.Minute), func(scratch string) string {
			return filepath.Join(scratch, "missing")
		}, offline.ErrNotWritable),
		Entry("a disk that is too small", Label("C3", "via:small-disk"), SpecTimeout(time.Minute), func(scratch string) string {
			mount(scratch, mountOf{sizeBytes: 100 << 20})
			return scratch
		}, recovery.ErrNoSpace),
	)

	It("is refused where a log directory of its own is there already, if empty", Label("B14", "via:log-directory"), func() {
		dir := GinkgoT().TempDir()
		target := offline.Target{DataDir: filepath.Join(dir, "data"), WALDir: filepath.Join(dir, "wal")}
		Expect(target.Check(1)).To(Succeed())
		Expect(os.Mkdir(target.WALDir, 0o700)).To(Succeed())
		Expect(target.Check(1)).To(MatchError(offline.ErrTargetTaken))
	})

	It("is none where a new folder is made in the root of a file system", Label("B14", "via:folder-in-mount-root"), func(ctx SpecContext) {
		relic, scratch := remains(ctx), GinkgoT().TempDir()
		mount(scratch, mountOf{sizeBytes: 300 << 20})
		Expect(os.Mkdir(filepath.Join(scratch, "lost+found"), 0o700)).To(Succeed())
		must(offline.Restore(ctx, suite.worker(), relic.planned(ctx, harness.HostPlaces{}, 1), scratch))
		Expect(namesIn(scratch)).To(Equal([]string{"lost+found", "m1"}))
	}, SpecTimeout(time.Minute))

	DescribeTable("that fills up while the restore goes on leaves nothing behind, and room for the next attempt", Label("C3"),
		func(ctx SpecContext, leave func(sourceBytes int64) int64) {
			relic, scratch := remains(ctx), GinkgoT().TempDir()
			plan, filler := relic.planned(ctx, harness.HostPlaces{}, 1), filepath.Join(scratch, "filler")
			const disk = 300 << 20 // enough, when it is looked at
			mount(scratch, mountOf{sizeBytes: disk})

			// Somebody else's data comes between the look and the restore.
			fill := fmt.Sprintf("head -c %d /dev/zero > %s; exec %s __worker", disk-leave(plan.Source.SizeBytes), filler, suite.Worker)
			_, err := offline.Restore(ctx, offline.Worker{Path: "/bin/sh", Args: []string{"-c", fill}}, plan, scratch)
			Expect(err).To(MatchError(recovery.ErrNoSpace))
			Expect(recovery.ProvedBad(err)).To(BeFalse(), "the source is not to blame")
			Expect(namesIn(scratch)).To(Equal([]string{"filler"}))
			Expect(digestOf(relic.snapshot)).To(Equal(plan.Source.SHA256))

			Expect(os.Remove(filler)).To(Succeed())
			must(offline.Restore(ctx, suite.worker(), plan, scratch))
		},
		Entry("while the source is copied", Label("via:full-while-copying"), SpecTimeout(time.Minute),
			func(source int64) int64 { return source / 2 }),
		Entry("while the database is made", Label("via:full-while-restoring"), SpecTimeout(time.Minute),
			func(source int64) int64 { return source * 3 / 2 }),
		Entry("while the log is made", Label("via:full-while-logging"), SpecTimeout(time.Minute),
			func(source int64) int64 { return 2*source + 32<<20 }),
	)
})

// mountOf says what file system mount makes.
type mountOf struct {
	sizeBytes int64
	readOnly  bool
}

// asRoot skips what only root can bring about.
func asRoot() {
	GinkgoHelper()
	if os.Geteuid() != 0 {
		Skip("only root can bring this about")
	}
}

// namesIn returns what is in a folder; nothing if there is none.
func namesIn(dir string) []string {
	GinkgoHelper()
	entries, err := os.ReadDir(dir)
	Expect(err).To(Or(Succeed(), MatchError(fs.ErrNotExist)))
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
