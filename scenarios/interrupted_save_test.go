package scenarios_test

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
)

// A backup that ends too early, and is not known to, is found out when it is needed.
var _ = Describe("an interrupted save", Label("etcd", "B10", "disaster:interrupted-save", "size:1"), func() {
	It("leaves neither a file nor half of one when the server dies in the middle",
		Label("issue:etcd#18340", "issue:etcd-backup-restore#749", "via:killed-server"), func(ctx SpecContext) {
			m, client := large(ctx)
			err := interruptedSave(ctx, client, func() { must(m.Kill(ctx)) })
			Expect(err).To(HaveOccurred())
			Expect(err).NotTo(MatchError(context.DeadlineExceeded), "a dead server is noticed at once")
		}, SpecTimeout(time.Minute))

	It("ends at its deadline when the server freezes in the middle, and leaves nothing",
		Label("issue:etcd#10298", "issue:etcd#13166", "issue:talos#14212", "via:frozen-server"), func(ctx SpecContext) {
			skipUnlessAble(ctx, faults.Pause(faults.All))
			m, client := large(ctx)
			soon, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			err := interruptedSave(soon, client, func() { Expect(m.Signal(ctx, harness.Freeze)).To(Succeed()) })
			Expect(err).To(MatchError(context.DeadlineExceeded))
		}, SpecTimeout(time.Minute))

	It("is given up when nothing comes any more, whatever its deadline, and leaves nothing",
		Label("issue:etcd#10298", "via:stalled-server"), func(ctx SpecContext) {
			skipUnlessAble(ctx, faults.Pause(faults.All))
			m, client := large(ctx)
			err := interruptedSave(ctx, client, func() { Expect(m.Signal(ctx, harness.Freeze)).To(Succeed()) },
				fetch.WithStallLimit(time.Second))
			Expect(err).To(And(MatchError(fetch.ErrStalled), MatchError(ContainSubstring("save from another one"))))
		}, SpecTimeout(time.Minute))
})

// large starts a member with more data than is ever on its way, so that a save can be interrupted in the middle.
func large(ctx SpecContext) (*harness.Member, *clientv3.Client) {
	GinkgoHelper()
	m := begin(ctx, ground(ctx), 1).Members()[0]
	client := must(m.Dial(ctx))
	DeferCleanup(func() { _ = client.Close() }) // its member may be dead by then
	for i := range 48 {
		must(client.Put(ctx, strings.Repeat("k", i+1), strings.Repeat("v", 1<<20)))
	}
	return m, client
}

// interruptedSave interrupts a save when its first bytes have come, and expects it to leave nothing.
func interruptedSave(ctx context.Context, client *clientv3.Client, interrupt func(), opts ...fetch.Option) error {
	GinkgoHelper()
	dir, interrupted := GinkgoT().TempDir(), false
	opts = append(opts, fetch.WithProgress(func(int64) {
		if !interrupted {
			interrupted = true
			interrupt()
		}
	}))
	_, err := fetch.Save(ctx, client, filepath.Join(dir, "backup.db"), opts...)
	Expect(interrupted).To(BeTrue(), "nothing came: %v", err)
	Expect(dir).To(beAnEmptyFolder())
	return err
}
