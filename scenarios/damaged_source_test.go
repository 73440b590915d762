package scenarios_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
	"github.com/etcd-drill/etcd-drill/recovery/spoil"
)

// A backup is damaged in storage or on its way. etcd finds out when it has copied all of it, leaves that behind, and does not
// start over into what it left.
var _ = Describe("a damaged source", Label("disaster:damaged-source"), func() {
	// The table of all kinds of damage, on every version of etcdutl, is a test of package recovery: TestTheDamageTable.
	It("is refused wherever it was cut off, leaves nothing behind, and the whole one is restored in its place",
		Label("A8", "issue:etcd#18340", "issue:etcd-backup-restore#749", "issue:etcd-backup-restore#778", "via:cut-snapshot"),
		func(ctx SpecContext) {
			relic := remains(ctx)
			size := int(relic.checked(ctx, recovery.SavedSnapshot).SizeBytes)
			cut := Or(MatchError(recovery.ErrEmpty), MatchError(recovery.ErrNoHash), MatchError(recovery.ErrBadHash))
			for _, at := range []int{
				0, 1, 31, 32, 33, 511, 512, 544, 4096, 4128, 8192, size / 2, size/1024*512 + 32, size - 4096, size - 33, size - 32, size - 1,
			} {
				path := relic.damaged(spoil.CutAt(at))
				_, err := offline.Check(ctx, suite.worker(), recovery.SavedSnapshot, path)
				Expect(err).To(cut, "%d of %d bytes", at, size)
				Expect(recovery.ProvedBad(err)).To(BeTrue())
				Expect(relic.forced(ctx, path, false)).To(cut, "%d of %d bytes, unchecked", at, size)
			}
			Expect(relic.forced(ctx, relic.snapshot, false)).To(Succeed())
		}, SpecTimeout(2*time.Minute))

	It("is refused for a single bit, wherever it is: in the pages that say where all others are, in a value, in the hash",
		Label("A9", "issue:etcd#10108", "via:flipped-bit"),
		func(ctx SpecContext) {
			relic := remains(ctx)
			size := int(relic.checked(ctx, recovery.SavedSnapshot).SizeBytes)
			for _, variant := range []spoil.Variant{
				spoil.FlipAt(20), spoil.FlipAt(4096 + 20), spoil.FlipAt(size / 2), spoil.FlipAt(size - 33), spoil.FlipAt(size - 32),
				spoil.FlipAt(size - 1), spoil.Of(spoil.ValueByte),
			} {
				path := relic.damaged(variant)
				_, err := offline.Check(ctx, suite.worker(), recovery.SavedSnapshot, path)
				Expect(err).To(MatchError(recovery.ErrBadHash), variant.Name)
				Expect(relic.forced(ctx, path, false)).To(MatchError(recovery.ErrBadHash), "%s, unchecked", variant.Name)
			}
		}, SpecTimeout(2*time.Minute))

	It("is refused for all that can be seen where its hash is skipped, checked or not, and ends no process",
		Label("A10", "issue:etcd-backup-restore#519", "issue:etcd#14102", "via:hash-skipped"),
		func(ctx SpecContext) {
			relic := remains(ctx)
			for name, want := range map[string]error{
				spoil.Half:          recovery.ErrTruncated, // etcdutl: a bus error
				spoil.Zeros:         recovery.ErrNotBolt,   // etcdutl: a panic
				spoil.BothMetas:     recovery.ErrNotBolt,   // likewise
				spoil.PageZeroed:    recovery.ErrBadStructure,
				spoil.PageMisleads:  recovery.ErrBadStructure,
				spoil.KeyOutOfOrder: recovery.ErrBadStructure,
			} {
				path := relic.damaged(spoil.Of(name))
				_, err := offline.Check(ctx, suite.worker(), recovery.SavedSnapshot, path, offline.SkipHash())
				Expect(err).To(And(MatchError(want), Not(MatchError(recovery.ErrWorkerDied))), name)
				Expect(relic.forced(ctx, path, true)).To(And(MatchError(want), Not(MatchError(recovery.ErrWorkerDied))), "%s, unchecked", name)
			}
		}, SpecTimeout(2*time.Minute))

	It("shows a changed value to nobody but who has a hash, or a manifest of what was written",
		Label("etcd", "A10", "via:changed-value", "size:1"),
		func(ctx SpecContext) {
			relic := remains(ctx)
			path := relic.damaged(spoil.Of(spoil.ValueByte))
			source := must(offline.Check(ctx, suite.worker(), recovery.SavedSnapshot, path, offline.SkipHash()))
			Expect(source.Warnings).To(ContainElement(ContainSubstring("a changed value is not detectable without a manifest")))

			for changed, source := range map[bool]recovery.Source{false: relic.checked(ctx, recovery.SavedSnapshot), true: source} {
				site := ground(ctx)
				plan := relic.planned(ctx, site, 1)
				plan.Source, plan.SkipHashCheck = source, source.HashSkipped
				m := revive(ctx, site, must(offline.Restore(ctx, suite.worker(), plan, site.Scratch()))).Members()[0]
				probe := must(m.Probe(ctx))
				hash, _, err := probe.HashKV(ctx, relic.revision)
				probe.Close()
				Expect(err).NotTo(HaveOccurred())
				Expect(hash == relic.hash).To(Equal(!changed), "HashKV %d, of the lost cluster %d", hash, relic.hash)
			}
		}, SpecTimeout(2*time.Minute))
})
