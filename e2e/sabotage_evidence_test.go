package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// The control of all sabotage: the same drill with nobody's hand in it. Its stored evidence is then edited, row by row.
var _ = Describe("an untouched drill", Label("etcd", "sabotage"), Ordered, ContinueOnFailure, func() {
	var s *stage
	var verdict verify.Verdict
	var folder string // of its evidence

	BeforeAll(func(ctx SpecContext) {
		s = strike(ctx, small(faults.Quorum, recovery.SavedSnapshot, drill.Before), readyWithin)
		verdict = s.finish(ctx, s.rebuild(ctx))
		folder = s.Folder()
	}, NodeTimeout(drillWithin))

	It("is intact, and so is its stored evidence, and a copy of that", func(SpecContext) {
		Expect(verdict).To(beIntact())
		Expect(verdict.Loss.Writes).To(BeNumerically(">", 0))
		Expect(drill.Judge(folder)).To(Equal(verdict))
		Expect(drill.Judge(copyEvidence(folder))).To(Equal(verdict))
	}, SpecTimeout(rowWithin))

	It("cannot be planned with the token of the lost cluster", func(SpecContext) {
		_, err := s.Plan(s.proof.Source, s.proof.Down, s.proof.Down.Layout().Token)
		Expect(err).To(MatchError(recovery.ErrTokenReused))
		Expect(err).To(MatchError(ContainSubstring("is the old cluster's")))
	}, SpecTimeout(rowWithin))

	DescribeTable("is not intact any more after somebody", func(_ SpecContext, edit func(*evidence) (verify.Outcome, charge)) {
		e := readEvidence(copyEvidence(folder), verdict.RestorePoint)
		outcome, expected := edit(e)
		e.write()
		Expect(drill.Judge(e.folder)).To(find(outcome, expected))
	},
		Entry("emptied the ledger", (*evidence).empty, SpecTimeout(rowWithin)),
		Entry("left a ledger of no bytes at all", (*evidence).eraseLedger, SpecTimeout(rowWithin)),
		Entry("cut off the ledger's closing line", (*evidence).cutClosingLine, SpecTimeout(rowWithin)),
		Entry("cut the ledger in the middle of a line", (*evidence).cutInLine, SpecTimeout(rowWithin)),
		Entry("removed an acknowledged write up to R", (*evidence).removeWrite, SpecTimeout(rowWithin)),
		Entry("changed the digest of an acknowledged write up to R", (*evidence).changeDigest, SpecTimeout(rowWithin)),
		Entry("moved an acknowledged write to a revision that another owns", (*evidence).moveOntoAnother, SpecTimeout(rowWithin)),
		Entry("moved an acknowledged write above R", (*evidence).moveAboveR, SpecTimeout(rowWithin)),
		Entry("gave a member the old cluster's ID", (*evidence).staleCluster, SpecTimeout(rowWithin)),
		Entry("gave a member the source of another restore", (*evidence).otherSource, SpecTimeout(rowWithin)),
		Entry("took a lease from a member", (*evidence).dropLease, SpecTimeout(rowWithin)),
		Entry("switched authentication on at a member", (*evidence).authOn, SpecTimeout(rowWithin)),
		Entry("listed a member of the lost cluster again", (*evidence).zombie, SpecTimeout(rowWithin)),
		Entry("has not read what a member holds beside keys", (*evidence).unreadState, SpecTimeout(rowWithin)),
	)

	DescribeTable("only shows another loss after somebody", func(_ SpecContext, edit func(*evidence) func(*verify.Verdict)) {
		e := readEvidence(copyEvidence(folder), verdict.RestorePoint)
		expected := verdict
		edit(e)(&expected)
		e.write()
		Expect(drill.Judge(e.folder)).To(Equal(expected))
		Expect(expected).To(beIntact())
	},
		Entry("removed an acknowledged write above R", (*evidence).removeLost, SpecTimeout(rowWithin)),
		Entry("changed the digest of an acknowledged write above R", (*evidence).changeLostDigest, SpecTimeout(rowWithin)),
		Entry("changed the revision of an acknowledged write above R", (*evidence).raiseLost, SpecTimeout(rowWithin)),
	)
})

// copyEvidence copies what a verdict rests on, and nothing else: neither data directories nor the backup.
func copyEvidence(folder string) string {
	GinkgoHelper()
	to := newFolder("evidence")
	Expect(os.MkdirAll(filepath.Join(to, "source"), 0o700)).To(Succeed())
	for _, name := range []string{
		"ledger.jsonl", "evidence.json", "source/history.jsonl", "source/keyspace.jsonl", "source/leases.jsonl",
	} {
		Expect(os.WriteFile(filepath.Join(to, name), must(os.ReadFile(filepath.Join(folder, name))), 0o600)).To(Succeed())
	}
	Expect(os.CopyFS(filepath.Join(to, "members"), os.DirFS(filepath.Join(folder, "members")))).To(Succeed())
	return to
}

// evidence is a copy of a drill's evidence, open for edits.
type evidence struct {
	folder  string
	r       int64 // the restore point
	entries []ledger.Entry
	cut     int // bytes to cut off the written ledger
	plain   map[string]any
}

func readEvidence(folder string, r int64) *evidence {
	GinkgoHelper()
	e := &evidence{folder: folder, r: r}
	for entry, err := range ledger.ReadEntries(func() (io.ReadCloser, error) { return os.Open(e.path("ledger.jsonl")) }) {
		e.entries = append(e.entries, must(entry, err))
	}
	Expect(json.Unmarshal(must(os.ReadFile(e.path("evidence.json"))), &e.plain)).To(Succeed())
	return e
}

func (e *evidence) path(name string) string { return filepath.Join(e.folder, name) }

func (e *evidence) write() {
	GinkgoHelper()
	file := must(os.Create(e.path("ledger.jsonl")))
	writer := ledger.NewWriter(file)
	for _, entry := range e.entries {
		Expect(writer.Append(entry)).To(Succeed())
	}
	Expect(writer.End()).To(Succeed())
	size := must(file.Seek(0, io.SeekCurrent))
	Expect(file.Truncate(max(0, size-int64(e.cut)))).To(Succeed())
	Expect(file.Close()).To(Succeed())
	Expect(os.WriteFile(e.path("evidence.json"), must(json.Marshal(e.plain)), 0o600)).To(Succeed())
}

// put returns an acknowledged put of a single key from the middle of those that the filter accepts.
func (e *evidence) put(accept func(ledger.Entry) bool) int {
	GinkgoHelper()
	var fit []int
	for i, entry := range e.entries {
		if entry.Op == ledger.OpPut && entry.Owns && accept(entry) {
			fit = append(fit, i)
		}
	}
	Expect(fit).NotTo(BeEmpty(), "acknowledged puts to edit")
	return fit[len(fit)/2]
}

func (e *evidence) upToR(entry ledger.Entry) bool  { return entry.Revision <= e.r }
func (e *evidence) aboveR(entry ledger.Entry) bool { return entry.Revision > e.r }

func (e *evidence) empty() (verify.Outcome, charge) {
	e.entries = nil
	return verify.Inconclusive, charge{kind: verify.NoEvidence, reason: "the ledger is empty"}
}

func (e *evidence) eraseLedger() (verify.Outcome, charge) {
	e.entries, e.cut = nil, 1<<20
	return verify.Inconclusive, charge{kind: verify.NoEvidence, reason: "the ledger was not ended cleanly"}
}

func (e *evidence) cutClosingLine() (verify.Outcome, charge) {
	e.cut = 2 // its line feed and something of the line
	return verify.Inconclusive, charge{kind: verify.NoEvidence, reason: "the ledger was not ended cleanly"}
}

func (e *evidence) cutInLine() (verify.Outcome, charge) {
	e.cut = 150 // more than the closing line, less than two entries
	return verify.Inconclusive, charge{kind: verify.NoEvidence, reason: "the ledger was not ended cleanly"}
}

func (e *evidence) removeWrite() (verify.Outcome, charge) {
	i := e.put(e.upToR)
	key := string(e.entries[i].Changes[0].Key)
	e.entries = slices.Delete(e.entries, i, i+1)
	return verify.Damaged, charge{kind: verify.Phantom, key: key, reason: "which no write in the ledger explains"}
}

func (e *evidence) changeDigest() (verify.Outcome, charge) {
	change := &e.entries[e.put(e.upToR)].Changes[0]
	change.Digest = ledger.Digest([]byte("another"), []byte("value"))
	return verify.Damaged, charge{kind: verify.Changed, key: string(change.Key), reason: "with the value digest " + change.Digest}
}

func (e *evidence) moveOntoAnother() (verify.Outcome, charge) {
	i := e.put(e.upToR)
	n := e.put(func(other ledger.Entry) bool {
		return e.upToR(other) && other.Changes[0].Key != e.entries[i].Changes[0].Key
	})
	e.entries[i].Revision = e.entries[n].Revision
	return verify.Damaged, charge{kind: verify.Changed, key: string(e.entries[i].Changes[0].Key), reason: "which is used twice"}
}

func (e *evidence) moveAboveR() (verify.Outcome, charge) {
	entry := &e.entries[e.put(e.upToR)]
	entry.Revision = e.r + 1_000_000
	return verify.Damaged, charge{kind: verify.Phantom, key: string(entry.Changes[0].Key), reason: "which no write in the ledger explains"}
}

func (e *evidence) staleCluster() (verify.Outcome, charge) {
	member := e.member(1)
	member["clusterID"] = e.plain["identity"].(map[string]any)["oldCluster"]
	return verify.Damaged, charge{kind: verify.StaleID, member: member["name"].(string), reason: "which is the old cluster's"}
}

func (e *evidence) otherSource() (verify.Outcome, charge) {
	member := e.member(2)
	member["sourceSHA256"] = "07e4"
	return verify.Damaged, charge{
		kind: verify.MixedSource, member: member["name"].(string), reason: "was restored from a file with SHA-256 07e4",
	}
}

func (e *evidence) dropLease() (verify.Outcome, charge) {
	GinkgoHelper()
	name := e.member(1)["name"].(string)
	path := e.path("members/" + name + "/leases.jsonl")
	_, rest, found := bytes.Cut(must(os.ReadFile(path)), []byte("\n"))
	Expect(found).To(BeTrue())
	Expect(os.WriteFile(path, rest, 0o600)).To(Succeed())
	return verify.Damaged, charge{kind: verify.Missing, member: name, reason: "does not have lease"}
}

func (e *evidence) authOn() (verify.Outcome, charge) {
	member := e.member(1)
	member["state"].(map[string]any)["auth"].(map[string]any)["enabled"] = true
	return verify.Damaged, charge{kind: verify.Changed, member: member["name"].(string), reason: "has authentication on"}
}

func (e *evidence) zombie() (verify.Outcome, charge) {
	member := e.member(2)
	state := member["state"].(map[string]any)
	old := e.plain["source"].(map[string]any)["state"].(map[string]any)["members"].([]any)
	state["members"] = append(state["members"].([]any), old[0])
	slices.SortFunc(state["members"].([]any), func(a, b any) int {
		return cmp.Compare(a.(map[string]any)["id"].(string), b.(map[string]any)["id"].(string))
	})
	return verify.Damaged, charge{kind: verify.Stray, member: member["name"].(string), reason: "holds a member that was not planned"}
}

func (e *evidence) unreadState() (verify.Outcome, charge) {
	member := e.member(0)
	delete(member, "state")
	return verify.Inconclusive, charge{kind: verify.NoEvidence, member: member["name"].(string), reason: "holds beside its keys was not read"}
}

func (e *evidence) member(i int) map[string]any { return e.plain["reborn"].([]any)[i].(map[string]any) }

func (e *evidence) removeLost() func(*verify.Verdict) {
	i := e.lost()
	e.entries = slices.Delete(e.entries, i, i+1)
	return func(v *verify.Verdict) {
		v.Loss.Writes--
		v.Tally.Acknowledged--
	}
}

func (e *evidence) changeLostDigest() func(*verify.Verdict) {
	e.entries[e.lost()].Changes[0].Digest = ledger.Digest([]byte("another"), []byte("value"))
	return func(*verify.Verdict) {}
}

func (e *evidence) raiseLost() func(*verify.Verdict) {
	e.entries[e.lost()].Revision = e.r + 1_000_000
	return func(v *verify.Verdict) { v.Loss.Revisions = 1_000_000 }
}

// lost is a lost put from the middle of them, so that neither the window of the loss nor its revisions hang on it, of a key
// of which no delete was lost, so that no key comes back or stays away with it.
func (e *evidence) lost() int {
	GinkgoHelper()
	deleted := map[ledger.Key]bool{}
	for _, entry := range e.entries {
		for _, change := range entry.Changes {
			deleted[change.Key] = deleted[change.Key] || e.aboveR(entry) && change.Delete
		}
	}
	return e.put(func(entry ledger.Entry) bool { return e.aboveR(entry) && !deleted[entry.Changes[0].Key] })
}
