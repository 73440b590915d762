package recovery

import (
	"cmp"
	"slices"
)

// Finding is something that an inspection found to be wrong or worth knowing.
type Finding struct {
	Name   FindingName `json:"name"`
	Weight Weight      `json:"weight"`
	// Boots is set where etcd would start on what was inspected, and must not.
	Boots bool   `json:"boots,omitempty"`
	Text  string `json:"text"`         // what was seen and what it means
	Do    string `json:"do,omitempty"` // what to do about it
}

// Weight says how grave a finding is.
type Weight string

// The weights, the gravest first.
const (
	Damaged  Weight = "damaged"  // it is proved bad
	Poisoned Weight = "poisoned" // it is no member's data directory, or not yet, or not any more
	Doubtful Weight = "doubtful" // it may have changed while it was read; nothing is proved
	Notice   Weight = "notice"
)

// FindingName names one kind of finding.
type FindingName string

// What an inspection can find beside damage, which goes by the names of its sentinels (ErrBadHash is "bad-hash").
const (
	// FailedRestore is a directory without a log whose database is the image of a snapshot: a restore copied it there and did
	// not get any further, because the hash was wrong or because it was killed.
	FailedRestore FindingName = "failed-restore"
	// CutRestore is a directory whose database has lost its old members and has no log: a restore was killed before it wrote one.
	CutRestore FindingName = "cut-restore"
	// BareDatabase is a directory with a database and no trace of a log: somebody put it there.
	BareDatabase FindingName = "bare-database"
	// MissingLog is a directory without a log that once had one.
	MissingLog FindingName = "missing-log"
	// UnfinishedRestore is a directory whose log is that of a new cluster and whose database still counts by the old one.
	UnfinishedRestore FindingName = "unfinished-restore"
	// AheadOfLog is a directory whose database has applied entries that its log does not hold.
	AheadOfLog FindingName = "ahead-of-log"
	// BehindLog is a directory whose log begins after what its database has applied.
	BehindLog FindingName = "behind-log"
	// ForeignDatabase is a directory whose database knows nothing of the member whose log lies beside it.
	ForeignDatabase FindingName = "foreign-database"
	// RemovedMember is the directory of a member that its cluster has removed.
	RemovedMember FindingName = "removed-member"
	// NoDatabase is a directory with a log and no database.
	NoDatabase FindingName = "no-database"
	// DamagedLog is a log that cannot be read to its end.
	DamagedLog FindingName = "damaged-log"
	// ReceivedSnapshot is a database that a leader sent and that was not put in its place.
	ReceivedSnapshot FindingName = "received-snapshot"
	// UnfinishedSave is a file that a save has not given its name yet.
	UnfinishedSave FindingName = "unfinished-save"
	// LostHash is a file that looks like a saved snapshot without its hash.
	LostHash FindingName = "lost-hash"
	// InUse is a database that a process holds open, or that changed while it was read.
	InUse FindingName = "in-use"
	// OddPages are warnings about the pages of a database that can be read.
	OddPages FindingName = "odd-pages"
	// RaisedAlarm is an alarm that survives a restore and keeps the new cluster from taking writes.
	RaisedAlarm FindingName = "raised-alarm"
	// OpenCompaction is a compaction that was scheduled and not finished.
	OpenCompaction FindingName = "open-compaction"
	// OpenDowngrade is a downgrade that was enabled and not finished.
	OpenDowngrade FindingName = "open-downgrade"
	// LostLeases are keys whose lease is not there.
	LostLeases FindingName = "lost-leases"
)

// Sound tells whether nothing speaks against what was inspected.
func (i Inspection) Sound() bool {
	return !slices.ContainsFunc(i.Findings, func(f Finding) bool { return f.Weight == Damaged || f.Weight == Poisoned })
}

// Doubtful tells whether it may have changed while it was inspected, so that nothing can rest on what was found.
func (i Inspection) Doubtful() bool {
	return slices.ContainsFunc(i.Findings, func(f Finding) bool { return f.Weight == Doubtful })
}

// Find returns the finding of this name; false if there is none.
func (i Inspection) Find(name FindingName) (Finding, bool) {
	at := slices.IndexFunc(i.Findings, func(f Finding) bool { return f.Name == name })
	if at < 0 {
		return Finding{}, false
	}
	return i.Findings[at], true
}

// Gravest sorts findings by weight and keeps their order otherwise.
func Gravest(findings []Finding) []Finding {
	order := []Weight{Damaged, Poisoned, Doubtful, Notice}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Compare(slices.Index(order, a.Weight), slices.Index(order, b.Weight))
	})
	return findings
}
