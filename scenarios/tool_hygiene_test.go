package scenarios_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// A backup is needed once more when the first attempt has failed, or when the auditor comes.
var _ = Describe("a backup that is worked with", Label("C13", "disaster:none"), func() {
	It("is the same file after every examination and every restore, which etcd's own tools do not leave it",
		Label("issue:etcd#11157", "issue:etcd#21105", "via:all-tools"), func(ctx SpecContext) {
			relic, worker := remains(ctx), suite.worker()
			for kind, path := range map[recovery.Kind]string{recovery.SavedSnapshot: relic.snapshot, recovery.DBCopy: relic.db} {
				before, dir := digestOf(path), GinkgoT().TempDir()
				source := must(offline.Check(ctx, worker, kind, path))
				contents := must(offline.Extract(ctx, worker, source, offline.Extraction{
					DigestKey: []byte("x"), History: filepath.Join(dir, "history"), Keyspace: filepath.Join(dir, "keyspace"),
				}))
				Expect(contents.HashKV).To(Equal(relic.hash))
				Expect(must(offline.Inspect(ctx, worker, path)).Sound()).To(BeTrue())
				plan := relic.planned(ctx, harness.HostPlaces{}, 3)
				plan.Source, plan.SkipHashCheck = source, kind == recovery.DBCopy
				must(offline.Restore(ctx, worker, plan, dir))
				Expect(digestOf(path)).To(Equal(before), "%s", kind)
			}
			// The control: etcdutl's own way to the hash writes to the file, which then can no longer be restored.
			control := filepath.Join(GinkgoT().TempDir(), "control.db")
			Expect(os.WriteFile(control, must(os.ReadFile(relic.snapshot)), 0o600)).To(Succeed())
			etcdutl := must(suite.tools().Etcdutl(ctx, recovery.LinkedVersion()))
			Expect(exec.CommandContext(ctx, etcdutl, "snapshot", "status", control).Run()).To(Succeed())
			Expect(digestOf(control)).To(Equal(digestOf(relic.snapshot)))
			Expect(exec.CommandContext(ctx, etcdutl, "hashkv", control).Run()).To(Succeed())
			Expect(offline.Check(ctx, worker, recovery.SavedSnapshot, control)).Error().To(HaveOccurred())
		}, SpecTimeout(3*time.Minute))
})
