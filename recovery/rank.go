package recovery

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// Why no source could be chosen.
var (
	// ErrNoUsableSource means that none of what was inspected can be restored from.
	ErrNoUsableSource = errors.New("nothing to restore from")
	// ErrOtherCluster means that the sources were not taken from one cluster.
	ErrOtherCluster = errors.New("sources are of different clusters")
	// ErrForked means that the sources were taken from one cluster, and that it took different writes at the same revisions: the
	// way two lineages under one cluster ID look (etcd issue 14009).
	ErrForked = errors.New("sources do not share one history")
)

// Choice is what Rank made of several inspections.
type Choice struct {
	// Best is the source that every member must be restored from; nil if none was chosen.
	Best *Candidate `json:"best,omitempty"`
	// Others could be restored from, too, at a loss or for less certainty; the nearest to the best first.
	Others  []Candidate `json:"others,omitempty"`
	Refused []Refusal   `json:"refused,omitempty"`
	// Because explains the choice in sentences.
	Because []string `json:"because,omitempty"`
}

// Candidate is something that a cluster could be restored from.
type Candidate struct {
	Path string `json:"path"` // what was inspected
	// Database is the file to restore from, and Kind says whether its hash must be skipped.
	Database     string    `json:"database"`
	Kind         Kind      `json:"kind"`
	SHA256       string    `json:"sha256"`
	Hash         HashState `json:"hash"`
	RestorePoint int64     `json:"restorePoint"`
	// Loses is how many revisions it ends before the best one.
	Loses int64 `json:"loses"`
	// Beyond counts the writes that only the log beside it holds. No restore brings them back.
	Beyond uint64 `json:"beyond,omitempty"`

	inspected Inspection
}

// Refusal says why something is no candidate.
type Refusal struct {
	Path string `json:"path"`
	// Finding is what speaks against it; empty where it is only that there is no database.
	Finding FindingName `json:"finding,omitempty"`
	Why     string      `json:"why"`
}

// Rank chooses among the remains of one lost cluster: by the revision that can be proved to be in them, and for equal ones by
// whether a hash proves that they are as they were saved. What is damaged or half restored is refused. All members must be
// restored from the one that was chosen: etcd does not notice members whose databases differ.
//
// An error wraps one of the sentinels; the choice beside it then has no best, and says what was refused and why.
func Rank(inspections []Inspection) (Choice, error) {
	var choice Choice
	var usable []Candidate
	for _, i := range inspections {
		if refusal, refused := i.Refusal(); refused {
			choice.Refused = append(choice.Refused, refusal)
			continue
		}
		usable = append(usable, candidateOf(i))
	}
	if len(usable) == 0 {
		return choice, fmt.Errorf("rank sources: %w: %d of %d were refused", ErrNoUsableSource, len(choice.Refused), len(inspections))
	}
	if err := checkOneCluster(usable); err != nil {
		return choice, fmt.Errorf("rank sources: %w; inspect those of one cluster", err)
	}
	slices.SortStableFunc(usable, better)
	if err := checkOneHistory(usable); err != nil {
		return choice, fmt.Errorf("rank sources: %w; find out which of them served the clients last", err)
	}
	for i := range usable {
		usable[i].Loses = usable[0].RestorePoint - usable[i].RestorePoint
	}
	choice.Best, choice.Others = &usable[0], usable[1:]
	choice.explain()
	return choice, nil
}

// Refusal says why nothing can be restored from this; false if it can. A directory on which no member may start can still
// hold a good database.
func (i Inspection) Refusal() (Refusal, bool) {
	for _, f := range i.Findings {
		half := slices.Contains([]FindingName{FailedRestore, CutRestore, UnfinishedRestore, ForeignDatabase, UnfinishedSave}, f.Name)
		if f.Weight == Damaged && f.Name != DamagedLog || f.Weight == Doubtful || f.Weight == Poisoned && half {
			return Refusal{Path: i.Path, Finding: f.Name, Why: f.Text}, true
		}
	}
	if i.Database == nil || i.Database.Content == nil {
		return Refusal{Path: i.Path, Why: "there is no database that can be read"}, true
	}
	return Refusal{}, false
}

func candidateOf(i Inspection) Candidate {
	c := Candidate{
		Path: i.Path, Database: i.Database.Path, Kind: i.Database.Kind, SHA256: i.Database.SHA256, Hash: i.Database.Hash,
		RestorePoint: i.Database.Content.RestorePoint, inspected: i,
	}
	if i.Log != nil {
		c.Beyond = i.Log.Behind.Writes
	}
	return c
}

// better sorts the better candidate first.
func better(a, b Candidate) int {
	unhashed := func(c Candidate) int {
		if c.Hash == HashGood {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(b.RestorePoint, a.RestorePoint), cmp.Compare(unhashed(a), unhashed(b)))
}

// checkOneCluster puts together what has a member or a cluster ID in common, and wants one heap. Members that were replaced
// over time connect sources that have no member in common with each other.
func checkOneCluster(candidates []Candidate) error {
	var heaps []heap
	for _, c := range candidates {
		joined := heapOf(c)
		heaps = slices.DeleteFunc(heaps, func(h heap) bool {
			if !h.touches(joined) {
				return false
			}
			joined = h.with(joined)
			return true
		})
		heaps = append(heaps, joined)
	}
	if len(heaps) == 1 {
		return nil
	}
	parts := make([]string, len(heaps))
	for i, h := range heaps {
		parts[i] = h.String()
	}
	return fmt.Errorf("%w: %s", ErrOtherCluster, strings.Join(parts, "; "))
}

// heap are candidates of one cluster, as far as their IDs show.
type heap struct {
	paths    []string
	members  []identity.MemberID
	clusters []identity.ClusterID
}

func heapOf(c Candidate) heap {
	h := heap{paths: []string{c.Path}}
	content := c.inspected.Database.Content
	for _, m := range content.Members {
		h.members = append(h.members, m.ID)
	}
	h.members = append(h.members, content.Removed...)
	if log := c.inspected.Log; log != nil {
		h.clusters = append(h.clusters, log.ClusterID)
	}
	return h
}

func (h heap) touches(other heap) bool {
	return slices.ContainsFunc(h.members, func(id identity.MemberID) bool { return slices.Contains(other.members, id) }) ||
		slices.ContainsFunc(h.clusters, func(id identity.ClusterID) bool { return slices.Contains(other.clusters, id) }) ||
		len(h.members)+len(h.clusters)+len(other.members)+len(other.clusters) == 0 // two that tell nothing
}

func (h heap) with(other heap) heap {
	return heap{
		paths: append(h.paths, other.paths...), members: append(h.members, other.members...),
		clusters: append(h.clusters, other.clusters...),
	}
}

// String names the paths and whose they are.
func (h heap) String() string {
	whose := "which do not say of which cluster they are"
	slices.Sort(h.members)
	switch {
	case len(h.clusters) > 0:
		whose = "of cluster " + h.clusters[0].String()
	case len(h.members) > 0:
		whose = fmt.Sprintf("of members %v", slices.Compact(h.members))
	}
	return fmt.Sprintf("%s (%s)", strings.Join(h.paths, ", "), whose)
}

// checkOneHistory holds every candidate against the next better one. On one history a higher revision was applied at a higher
// raft index, and where revision and compaction are the same there are as many records and keys.
func checkOneHistory(sorted []Candidate) error {
	for i := 1; i < len(sorted); i++ {
		a, b := sorted[i-1].inspected.Database.Content, sorted[i].inspected.Database.Content
		if a.RestorePoint > b.RestorePoint && a.ConsistentIndex != 0 && a.ConsistentIndex <= b.ConsistentIndex {
			return fmt.Errorf("%w: %s has revision %d at raft index %d, %s has the lower revision %d at index %d", ErrForked,
				sorted[i-1].Path, a.RestorePoint, a.ConsistentIndex, sorted[i].Path, b.RestorePoint, b.ConsistentIndex)
		}
		settled := a.FinishedCompaction == b.FinishedCompaction && a.ScheduledCompaction == b.ScheduledCompaction &&
			a.FinishedCompaction == a.ScheduledCompaction
		if a.RestorePoint == b.RestorePoint && settled && (a.Records != b.Records || a.Keys != b.Keys) {
			return fmt.Errorf("%w: at revision %d %s has %d keys in %d records, %s has %d in %d", ErrForked, a.RestorePoint,
				sorted[i-1].Path, a.Keys, a.Records, sorted[i].Path, b.Keys, b.Records)
		}
	}
	return nil
}

// explain says why the best one is the best, and what the others cost.
func (c *Choice) explain() {
	say := func(format string, args ...any) { c.Because = append(c.Because, fmt.Sprintf(format, args...)) }
	best := c.Best
	certain := "which nothing but its structure vouches for"
	if best.Hash == HashGood {
		certain = "and its hash proves that it is as it was saved"
	}
	say("%s reaches revision %d, %s", best.Path, best.RestorePoint, certain)
	for _, other := range c.Others {
		switch {
		case other.Loses > 0:
			say("%s reaches revision %d and would lose %s", other.Path, other.RestorePoint, revisions(other.Loses))
		case best.Hash == HashGood && other.Hash != HashGood:
			say("%s reaches the same revision, without a hash that would prove it", other.Path)
		default:
			say("%s reaches the same revision", other.Path)
		}
	}
	for _, one := range append([]Candidate{*best}, c.Others...) {
		if reach := one.RestorePoint + int64(one.Beyond); one.Beyond > 0 && reach > best.RestorePoint {
			say("the write-ahead log beside %s goes on for up to %d writes, to revision %d at most: no restore brings them back, "+
				"a restart of a quorum on its logs does, and --force-new-cluster on this member may", one.Database, one.Beyond, reach)
		}
	}
	how := ""
	if best.Kind == DBCopy {
		how = ", with --skip-hash-check,"
	}
	say("restore every member from %s%s and from nothing else: etcd does not notice members whose databases differ", best.Database, how)
}

func revisions(n int64) string {
	if n == 1 {
		return "1 revision"
	}
	return fmt.Sprintf("%d revisions", n)
}
