package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// Backup is what was drilled where somebody's own backup was: there was no cluster before, and no ledger.
type Backup struct {
	// Given is what was handed over, in the words of the user; Form what it turned out to be: "snapshot", "db" or "directory".
	Given string `json:"given"`
	Form  string `json:"form"`
	// Packing names what it was packed in, the outermost first; Inside is its name in an archive.
	Packing []string `json:"packing,omitempty"`
	Inside  string   `json:"inside,omitempty"`
	// Taken tells from whom it was saved, where that was a living cluster; nil otherwise.
	Taken *Taken `json:"taken,omitempty"`
	// Modified is when what was given was changed last; zero where that is not known.
	Modified time.Time `json:"modified,omitzero"`
	// SizeBytes and SHA256, in hexadecimal, are those of the database, without its packing.
	SizeBytes int64  `json:"sizeBytes"`
	SHA256    string `json:"sha256"`
	// Hashed tells whether the file carries a hash of itself, which was verified.
	Hashed         bool   `json:"hashed"`
	RestorePoint   int64  `json:"restorePoint"`
	Compacted      int64  `json:"compacted,omitempty"` // 0 for never
	Keys           int64  `json:"keys"`
	Records        int64  `json:"records"`
	Leases         int64  `json:"leases"`
	StorageVersion string `json:"storageVersion,omitempty"` // empty for etcd before 3.6
	HashKV         uint32 `json:"hashKV,omitempty"`         // at the restore point, computed offline; 0 if it was not
	// Kubernetes is nil unless an API server wrote what the backup holds.
	Kubernetes *Kubernetes `json:"kubernetes,omitempty"`
	// Advice says what to think of in a real restore of this backup.
	Advice []string `json:"advice,omitempty"`
	// NotCarried says, a sentence each, what a restore does not bring back although the cluster had it.
	NotCarried []string `json:"notCarried,omitempty"`
	// Warnings are about what is odd in the file and no reason to refuse it.
	Warnings []string `json:"warnings,omitempty"`
}

// Taken tells from which member of a living cluster a snapshot was saved.
type Taken struct {
	Endpoint string             `json:"endpoint"`
	Member   string             `json:"member,omitempty"` // its name
	MemberID identity.MemberID  `json:"memberID"`
	Cluster  identity.ClusterID `json:"cluster"`
	Version  string             `json:"version,omitempty"` // of etcd, as it says
	Why      string             `json:"why"`               // it was this member and no other
}

func (t Taken) text() string {
	name := t.Endpoint
	if t.Member != "" {
		name = t.Member + " (" + t.Endpoint + ")"
	}
	return "from " + name + ", " + t.Why
}

// Kubernetes counts the objects of an API server by resource.
type Kubernetes struct {
	Objects   int64      `json:"objects"`
	Resources []Resource `json:"resources"` // by name
}

// Resource is one kind of objects. Encrypted counts those that are encrypted at rest, Providers names how.
type Resource struct {
	Name      string   `json:"name"`
	Objects   int64    `json:"objects"`
	Encrypted int64    `json:"encrypted,omitempty"`
	Providers []string `json:"providers,omitempty"`
}

// objectLines list the objects by resource, the most frequent first.
func (b Backup) objectLines() []string {
	if b.Kubernetes == nil {
		return nil
	}
	resources := slices.Clone(b.Kubernetes.Resources)
	slices.SortStableFunc(resources, func(x, y Resource) int { return cmp.Compare(y.Objects, x.Objects) })
	var parts []string
	for i, r := range resources {
		if i == shownResources {
			parts = append(parts, fmt.Sprintf("and %d more: report.json", len(resources)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%d %s", r.Objects, r.Name))
	}
	return []string{row("objects", fmt.Sprintf("%s of Kubernetes: %s", count(b.Kubernetes.Objects, "object"), strings.Join(parts, ", ")), "")}
}

// shownResources bounds what the text form lists.
const shownResources = 12

// backupLines say what was drilled.
func (r Report) backupLines() []string {
	b := r.Backup
	if b == nil || b.RestorePoint == 0 { // it was refused
		return nil
	}
	hash := "hash good"
	if !b.Hashed {
		hash = "no hash"
	}
	form := map[string]string{"snapshot": "saved snapshot", "db": "db copy", "directory": "data directory"}[b.Form]
	if len(b.Packing) > 0 {
		form += " in " + strings.Join(b.Packing, ", ")
	}
	note := fmt.Sprintf("revision %d, %s", b.RestorePoint, count(b.Keys, "key"))
	if b.StorageVersion != "" {
		note += ", storage " + b.StorageVersion
	}
	var taken []string
	if b.Taken != nil {
		taken = []string{row("taken", b.Taken.text(), "")}
	}
	return append(append(taken, row("backup", fmt.Sprintf("%s, %s, %s", form, size(b.SizeBytes), hash), note)), b.objectLines()...)
}

// size shows a size as coarsely as a person reads it.
func size(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	case n < 10<<30:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d GiB", n>>30)
}

// age is how old the backup is by what somebody wrote into it, in nanoseconds, or the reason why that is not known.
func (r Report) age() (value int64, reason string) {
	switch f := r.Verdict.Freshness; {
	case f == nil && r.Plan == nil:
		return 0, "nothing was restored"
	case f == nil:
		return 0, "nobody said under which key the backup holds its time; name one with --canary"
	case f.Fault != "":
		return 0, f.Fault
	default:
		return int64(max(f.Age, 0)), ""
	}
}

// fresh says up to when the backup holds what was written; empty if that is not known.
func (r Report) fresh() string {
	age, reason := r.age()
	if reason != "" {
		return ""
	}
	return fmt.Sprintf("up to %s, %s before the drill (RPO)", r.Verdict.Freshness.At.Format(time.RFC3339), fine(time.Duration(age)))
}

// backupSideLines say what is not proved by the drill of a backup.
func (r Report) backupSideLines() []string {
	if r.Backup == nil {
		return nil
	}
	var lines []string
	for _, text := range r.Backup.NotCarried {
		lines = append(lines, row("not back", text, ""))
	}
	for _, text := range r.Backup.Advice {
		lines = append(lines, row("advice", text, ""))
	}
	for _, text := range r.Backup.Warnings {
		lines = append(lines, row("warning", text, ""))
	}
	return lines
}

// ownProof is the proof line of a backup.
func (r Report) ownProof() string {
	c := r.Verdict.Compared
	text := fmt.Sprintf("%d/%d members: %s and %s as in the backup, %s", c.Members, r.Spec.Members,
		count(c.Keys, "key"), count(c.Revisions, "revision"), r.hashWord())
	if c.Hashed > 0 {
		text = fmt.Sprintf("%d/%d members: %s; %s of %s read and as in the backup", c.Members+c.Hashed, r.Spec.Members,
			r.hashWord(), count(c.Keys, "key"), count(int64(c.Members), "member"))
	}
	if r.Spec.BumpRevision > 0 {
		text += "; history below the bump is compacted and was not read from members"
	}
	return row("proof", text, "")
}

// hidden are the claims that a drill of a backup leaves out by its nature, which its one line on the loss says.
func (r Report) hidden(claim verify.Claim) bool {
	return r.Verdict.Witness == verify.BySource && (r.Plan == nil || slices.Contains([]string{"outage", "prefix", "fence"}, claim.Name))
}
