package e2e

import (
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// altered is a drill in which every alteration was made, to different keys, and what came of it.
type altered struct {
	hit     map[string]target
	verdict verify.Verdict
}

// A db copy has no hash, so etcd restores whatever it is given, on all members alike: only the ledger can tell.
var _ = Describe("a source that was altered before the restore", Label("etcd", "sabotage"), Ordered, ContinueOnFailure, func() {
	var seen altered

	BeforeAll(func(ctx SpecContext) {
		s := strike(ctx, small(faults.Quorum, recovery.DBCopy, drill.After), readyWithin)
		untouched := s.proof.Source
		seen.hit = alter(untouched.Path, s.proof.Book.Path, alterations())
		s.proof.Source = must(offline.Check(ctx, worker(), recovery.DBCopy, untouched.Path))
		s.proof.Source.Member = untouched.Member
		Expect(s.proof.Source.SHA256).NotTo(Equal(untouched.SHA256))
		Expect(s.proof.Source.RestorePoint).To(Equal(untouched.RestorePoint))
		seen.verdict = s.finish(ctx, s.rebuild(ctx))
	}, NodeTimeout(drillWithin))

	DescribeTable("is found damaged, with the key and the reason, when", func(_ SpecContext, a alteration) {
		Expect(seen.verdict).To(find(verify.Damaged, charge{kind: a.kind, key: seen.hit[a.name].key, reason: a.inSource}))
	}, rows())

	It("accuses no other key", func(SpecContext) { seen.expectNoOtherKey() }, SpecTimeout(rowWithin))
})

// Members that hold different data keep quiet about it: health, alarms and raft notice nothing.
var _ = Describe("one member whose restored directory was altered before its start",
	Label("etcd", "sabotage"), Ordered, ContinueOnFailure, func() {
		const victim = "m2"
		var seen altered

		BeforeAll(func(ctx SpecContext) {
			s := strike(ctx, small(faults.Quorum, recovery.SavedSnapshot, drill.Before), readyWithin)
			restored := s.rebuild(ctx)
			seen.hit = alter(filepath.Join(restored.Dirs()[victim], "member", "snap", "db"), s.proof.Book.Path, alterations())
			seen.verdict = s.finish(ctx, restored)
		}, NodeTimeout(drillWithin))

		DescribeTable("is found damaged, with the member, the key and the reason, when", func(_ SpecContext, a alteration) {
			Expect(seen.verdict).To(find(verify.Damaged,
				charge{kind: a.kind, member: victim, key: seen.hit[a.name].key, reason: a.onMember}))
		}, rows())

		It("gives another hash than the source", func(SpecContext) {
			Expect(seen.verdict).To(find(verify.Damaged, charge{kind: verify.Diverged, member: victim, reason: "gives HashKV"}))
		}, SpecTimeout(rowWithin))

		It("accuses no other key and no other member", func(SpecContext) {
			seen.expectNoOtherKey()
			Expect(seen.verdict.Findings).To(HaveEach(HaveField("Member", victim)))
		}, SpecTimeout(rowWithin))
	})

// rows has one entry for each alteration.
func rows() []TableEntry {
	var entries []TableEntry
	for _, a := range alterations() {
		entries = append(entries, Entry(a.name, a, SpecTimeout(rowWithin)))
	}
	return entries
}

func (a altered) expectNoOtherKey() {
	GinkgoHelper()
	keys := []string{""} // of findings on a member as a whole
	for _, t := range a.hit {
		keys = append(keys, t.key)
	}
	Expect(a.verdict.FindingCount).To(Equal(len(a.verdict.Findings)))
	for _, finding := range a.verdict.Findings {
		Expect(keys).To(ContainElement(string(finding.Key)), finding.Text)
	}
}
