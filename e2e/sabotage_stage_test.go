package e2e

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gs "github.com/onsi/gomega/gstruct"
	"github.com/onsi/gomega/types"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/load"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// The longest that a drill of this size may take, phase by phase and as a whole.
const (
	readyWithin = 60 * time.Second
	drillWithin = 4 * time.Minute
	rowWithin   = drillWithin + 30*time.Second // for a row that only looks: the drill before all counts against the first
)

// stage is a drill that was brought to the point where no member runs any more and nothing is restored yet: the place for
// a saboteur. Proof lacks what comes after.
type stage struct {
	*drill.Drill
	proof drill.Proof
}

// small is a drill that is over soon and still has every kind of write in it.
func small(lose faults.Target, source recovery.Kind, backup drill.Backup) drill.Spec {
	return drill.Spec{
		Members: 3, Fault: "kill", Lose: lose, Source: source, Backup: backup,
		Keys: 800, ValueBytes: 64, Workers: 24, Seed: uint64(GinkgoRandomSeed()),
	}
}

// openDrill opens a drill that is closed when the node's container is through. Then nothing of it may be left.
func openDrill(ctx context.Context, spec drill.Spec, ready time.Duration) *drill.Drill {
	GinkgoHelper()
	id := harness.NewRunID()
	d, err := drill.Open(ctx, spec, drill.Options{
		Runtime: suite.runtime, Worker: worker(), Folder: newFolder("drill"), StateDir: newFolder("state"), RunID: id,
		Keep: drill.KeepNone, ReadyWithin: ready,
		Notify: func(e drill.Event) { GinkgoWriter.Println(e.At.Format(time.TimeOnly), e.Name, e.Text) },
	})
	DeferCleanup(func(ctx SpecContext) {
		Expect(d.Close(ctx)).To(Succeed())
		Expect(suite.runtime.Left(ctx, id)).To(BeEmpty(), "left of run %s", id)
	}, NodeTimeout(3*time.Minute))
	Expect(err).NotTo(HaveOccurred())
	return d
}

// strike runs a drill up to the point where the sabotage begins. A snapshot is saved when its spec says so.
func strike(ctx context.Context, spec drill.Spec, ready time.Duration) *stage {
	GinkgoHelper()
	s := &stage{Drill: openDrill(ctx, spec, ready)}
	old := must(s.Start(ctx))
	writing := must(s.StartLoad(ctx, old, load.Mixed))
	Expect(writing.AwaitFilled(ctx)).To(Succeed())
	if spec.Backup == drill.Before {
		s.proof.Source = must(s.Backup(ctx, old))
		Expect(writing.AwaitMore(ctx, 100)).To(Succeed())
	}
	s.proof.Outage = must(s.Strike(ctx, old, must(faults.Parse(spec.Fault, spec.Lose))))
	if spec.Backup == drill.After && spec.Source == recovery.SavedSnapshot {
		s.proof.Source = must(s.Rescue(ctx, s.proof.Outage))
	}
	s.proof.Book = must(writing.Stop(ctx))
	s.proof.Down = must(s.StopAll(ctx, s.proof.Outage))
	if spec.Source == recovery.DBCopy {
		s.proof.Source = must(s.CopyDB(ctx, s.proof.Down, s.proof.Outage))
	}
	return s
}

// rebuild plans the recovery under a fresh token and restores every member's directory.
func (s *stage) rebuild(ctx context.Context) offline.Restored {
	GinkgoHelper()
	s.proof.Plan = must(s.Plan(s.proof.Source, s.proof.Down, identity.FreshToken()))
	return must(s.Rebuild(ctx, s.proof.Plan))
}

// finish boots what was restored and lets the drill judge it.
func (s *stage) finish(ctx context.Context, restored offline.Restored) verify.Verdict {
	GinkgoHelper()
	s.proof.Reborn = must(s.Boot(ctx, restored))
	return must(s.Verify(ctx, s.proof))
}

// beIntact matches a verdict to which nothing whatever is to be objected.
func beIntact() types.GomegaMatcher {
	return gs.MatchFields(gs.IgnoreExtras, gs.Fields{
		"Outcome": Equal(verify.Intact), "Findings": BeEmpty(), "FindingCount": BeZero(),
		"Compared": gs.MatchFields(gs.IgnoreExtras, gs.Fields{
			"Revisions": BeNumerically(">", 0), "Keys": BeNumerically(">", 0), "Members": Equal(3),
		}),
	})
}

// charge is a finding that a sabotage must lead to. Member and key are those of the finding, empty if it has none; the
// reason is a piece of its sentence.
type charge struct {
	kind   verify.Kind
	member string
	key    string
	reason string
}

// find matches a verdict of this outcome with a finding that asks for it, of the right kind, for the right member and key,
// with a sentence that gives the reason.
func find(outcome verify.Outcome, c charge) types.GomegaMatcher {
	return gs.MatchFields(gs.IgnoreExtras, gs.Fields{
		"Outcome": Equal(outcome),
		"Findings": ContainElement(gs.MatchFields(gs.IgnoreExtras, gs.Fields{
			"Kind": Equal(c.kind), "Outcome": Equal(outcome), "Member": Equal(c.member), "Key": Equal(ledger.Key(c.key)),
			"Text": And(ContainSubstring(c.reason), ContainSubstring(c.member)),
		})),
	})
}
