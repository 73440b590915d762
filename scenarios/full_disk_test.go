package scenarios_test

import (
	"path/filepath"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/recovery/fetch"
)

var _ = Describe("a save to a full disk", Label("etcd", "B10", "disaster:interrupted-save", "size:1"), func() {
	It("leaves neither a file nor half of one, and room for what else is there", Label("via:full-disk"), func(ctx SpecContext) {
		_, client := large(ctx)
		dir := GinkgoT().TempDir()
		mount(dir, mountOf{sizeBytes: 8 << 20})
		_, err := fetch.Save(ctx, client, filepath.Join(dir, "backup.db"))
		Expect(err).To(MatchError(syscall.ENOSPC))
		Expect(dir).To(beAnEmptyFolder())
	}, SpecTimeout(time.Minute))
})
