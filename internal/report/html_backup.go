package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// backupView is the part of a page on somebody's own backup.
type backupView struct {
	Facts    []fact
	Objects  []objectRow
	More     int  // resources that are not listed
	Secret   bool // some objects are encrypted at rest
	NotBack  []string
	Advice   []string
	Warnings []string
}

// objectRow is one kind of objects of an API server.
type objectRow struct {
	Name      string
	Objects   int64
	Encrypted string
}

// shownKinds bounds how many kinds of objects a page lists.
const shownKinds = 100

func newBackupView(b *Backup) *backupView {
	if b == nil {
		return nil
	}
	v := &backupView{Facts: backupFacts(*b), NotBack: lines(b.NotCarried), Advice: lines(b.Advice), Warnings: lines(b.Warnings)}
	if b.Kubernetes == nil {
		return v
	}
	resources := slices.Clone(b.Kubernetes.Resources)
	slices.SortStableFunc(resources, func(x, y Resource) int { return cmp.Compare(y.Objects, x.Objects) })
	for _, r := range resources {
		v.Secret = v.Secret || r.Encrypted > 0
		if len(v.Objects) == shownKinds {
			v.More++
			continue
		}
		row := objectRow{Name: oneLine(r.Name), Objects: r.Objects}
		if r.Encrypted > 0 {
			row.Encrypted = oneLine(strconv.FormatInt(r.Encrypted, 10) + ", " + strings.Join(r.Providers, ", "))
		}
		v.Objects = append(v.Objects, row)
	}
	return v
}

func backupFacts(b Backup) []fact {
	facts := []fact{
		{"given", oneLine(b.Given)},
		{"form", map[string]string{"snapshot": "saved snapshot", "db": "db copy", "directory": "data directory"}[b.Form]},
		{"packed in", oneLine(strings.Join(b.Packing, ", "))},
		{"in the archive", oneLine(b.Inside)},
		{"last changed", stamp(b.Modified)},
		{"SHA-256", b.SHA256},
	}
	if b.RestorePoint > 0 { // otherwise it was refused before it was read
		facts = append(facts,
			fact{"size", size(b.SizeBytes)},
			fact{"hash of its own", map[bool]string{true: "verified", false: "it carries none"}[b.Hashed]},
			fact{"restore point", "revision " + strconv.FormatInt(b.RestorePoint, 10)},
			fact{"keys", strconv.FormatInt(b.Keys, 10)},
			fact{"records", strconv.FormatInt(b.Records, 10)},
			fact{"leases", strconv.FormatInt(b.Leases, 10)},
			fact{"storage version", cmp.Or(b.StorageVersion, "of etcd before 3.6")},
		)
	}
	if b.Kubernetes != nil {
		facts = append(facts, fact{"objects of Kubernetes", strconv.FormatInt(b.Kubernetes.Objects, 10)})
	}
	return slices.DeleteFunc(facts, func(f fact) bool { return f.Text == "" })
}

// stamp is a moment as a person reads it; empty if it is not known.
func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2 January 2006 15:04:05 UTC")
}

func lines(texts []string) []string {
	var out []string
	for _, text := range texts {
		out = append(out, oneLine(text))
	}
	return out
}
