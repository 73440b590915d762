package scenarios_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// Everybody can copy a file. A database that is written to while it is copied is torn as often as not, and says nothing of it.
var _ = Describe("a copy of a living member's database", Label("etcd", "A11", "disaster:live-copy", "size:1"), func() {
	It("is either refused as damaged, or restores every write up to its restore point and costs those after it",
		Label("issue:etcd#10119", "issue:etcd-backup-restore#519", "via:db"), func(ctx SpecContext) {
			// The more often etcd flushes, the more pages change under the copy.
			d := rehearse(ctx, drill.Spec{Members: 1, Fault: "kill", Lose: faults.All, Source: recovery.DBCopy, Backup: drill.After},
				"--backend-batch-interval=1ms")
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			clean, torn := copyLive(ctx, d, load, old.Members()[0], 20)
			Expect(load.AwaitMore(ctx, 100)).To(Succeed())
			outage := must(d.Strike(ctx, old, faults.Kill(faults.All)))
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))

			AddReportEntry("copies", fmt.Sprintf("%d clean, %d torn", len(clean), torn))
			for _, source := range clean { // each can be restored; the first, which lost the most, is proved
				must(offline.Restore(ctx, suite.worker(), must(d.Plan(source, down, identity.FreshToken())), GinkgoT().TempDir()))
			}
			Expect(clean).NotTo(BeEmpty(), "all %d copies are torn: there is nothing to prove", torn)
			plan := must(d.Plan(clean[0], down, identity.FreshToken()))
			reborn := must(d.Restore(ctx, plan))
			verdict := must(d.Verify(ctx, drill.Proof{
				Book: book, Source: clean[0], Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))
			Expect(verdict).To(BeIntact())
			Expect(verdict.Loss.Writes).To(BeNumerically(">=", 100))
		}, SpecTimeout(2*time.Minute))
})

// copyLive copies the database of a member again and again while it is written to, and tells the copies apart by Check: a torn
// one is called damaged, after it may have ended the process that looked, or lacks a revision, of which Check warns.
func copyLive(ctx context.Context, d *drill.Drill, load *drill.Load, m *harness.Member, times int) (clean []recovery.Source, torn int) {
	GinkgoHelper()
	live := livingDisk{Disk: m.Disk()}
	if live.files() == nil {
		Skip("the members of this runtime keep their files where this machine cannot read them while they run")
	}
	for i := range times {
		path := filepath.Join(d.Folder(), "source", fmt.Sprintf("copy-%02d.db", i))
		Expect(os.MkdirAll(filepath.Dir(path), 0o700)).To(Succeed())
		must(fetch.Copy(ctx, live, path))
		source, err := offline.Check(ctx, suite.worker(), recovery.DBCopy, path)
		if err == nil && !slices.ContainsFunc(source.Warnings, func(w string) bool { return strings.Contains(w, "has no record") }) {
			clean = append(clean, source)
			Expect(load.AwaitMore(ctx, 20)).To(Succeed())
			continue
		}
		if err != nil {
			Expect(recovery.ProvedBad(err)).To(BeTrue(), "%v", err)
		}
		torn++
	}
	return clean, torn
}

// livingDisk reads a disk whose member runs, which a disk itself does not promise to allow.
type livingDisk struct{ harness.Disk }

// files is the data directory; nil where this machine does not see it.
func (d livingDisk) files() fs.FS {
	local, ok := d.Disk.(interface{ Data() string })
	if !ok {
		return nil
	}
	return os.DirFS(local.Data())
}

// Fetch implements harness.Disk.
func (d livingDisk) Fetch(_ context.Context, path string, w io.Writer) error {
	file, err := d.files().Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	_, err = io.Copy(w, file)
	return err
}
