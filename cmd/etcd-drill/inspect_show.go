package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// showInspected prints a table for each thing, then the choice among them.
func showInspected(out io.Writer, found inspected) error {
	s := &sheet{table: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	for _, one := range found.Inspections {
		s.inspection(one)
	}
	for _, one := range found.Unreadable {
		s.head(one.Path)
		s.row("unreadable", "%s", one.Why)
	}
	if found.Choice != nil {
		s.choice(*found.Choice, found.NoChoice)
	}
	return s.table.Flush()
}

// sheet writes lines of two columns. Names and paths come from files of unknown origin, so nothing of them reaches the
// terminal that would control it.
type sheet struct {
	table *tabwriter.Writer
	any   bool
}

func (s *sheet) head(title string) {
	if s.any {
		fmt.Fprintln(s.table)
	}
	s.any = true
	fmt.Fprintln(s.table, strings.Map(plain, title))
}

func (s *sheet) row(name, format string, args ...any) {
	fmt.Fprintf(s.table, " %s\t%s\n", name, strings.Map(plain, fmt.Sprintf(format, args...)))
}

func (s *sheet) inspection(i recovery.Inspection) {
	s.head(i.Path)
	s.row("kind", "%s", map[recovery.Form]string{
		recovery.FormSnapshot: "saved snapshot", recovery.FormDB: "db copy", recovery.FormDirectory: "data directory",
	}[i.Form])
	if db := i.Database; db != nil {
		s.row("database", "%s, %d bytes, hash %s", db.Path, db.SizeBytes, db.Hash)
		s.row("sha256", "%s", db.SHA256)
		if db.Content != nil {
			s.content(*db.Content)
		}
	}
	if i.Log != nil {
		s.log(*i.Log, i.Database != nil && i.Database.Content != nil)
	}
	for _, v := range i.Versions {
		starts := "starts"
		if !v.Starts {
			starts = "does not start"
		}
		s.row("etcd "+v.Release, "%s: %s", starts, v.Why)
	}
	s.findings(i)
}

func (s *sheet) content(c recovery.Content) {
	compacted := "never compacted"
	if c.FinishedCompaction > 0 {
		compacted = fmt.Sprintf("compacted to %d", c.FinishedCompaction)
	}
	if c.ScheduledCompaction > c.FinishedCompaction {
		compacted += fmt.Sprintf(", on the way to %d", c.ScheduledCompaction)
	}
	s.row("revision", "%d, %s; %d keys in %d records", c.RestorePoint, compacted, c.Keys, c.Records)
	s.row("raft", "applied up to index %d of term %d", c.ConsistentIndex, c.Term)
	for n, m := range c.Members {
		name := "members"
		if n > 0 {
			name = ""
		}
		text := fmt.Sprintf("%s %s %s", m.ID, m.Name, strings.Join(m.PeerURLs, ","))
		if m.Learner {
			text += " (learner)"
		}
		s.row(name, "%s", text)
	}
	if len(c.Members) == 0 {
		s.row("members", "none")
	}
	if len(c.Removed) > 0 {
		s.row("removed", "%v", c.Removed)
	}
	s.row("leases", "%s", leasesOf(c.Leases))
	enabled := "off"
	if c.Auth.Enabled {
		enabled = "on"
	}
	s.row("auth", "%s; %d users, %d roles", enabled, c.Auth.Users, c.Auth.Roles)
	for _, alarm := range c.Alarms {
		s.row("alarm", "%s of member %s", alarm.Type, alarm.Member)
	}
	s.row("versions", "storage %s, cluster %s", known(c.StorageVersion), known(c.ClusterVersion))
}

func leasesOf(l recovery.LeaseFacts) string {
	if l.Count == 0 {
		return "none"
	}
	ttl := func(seconds int64) time.Duration { return time.Duration(seconds) * time.Second }
	text := fmt.Sprintf("%d, granted for %s", l.Count, ttl(l.MinTTL))
	if l.MaxTTL != l.MinTTL {
		text += fmt.Sprintf(" to %s", ttl(l.MaxTTL))
	}
	return text + fmt.Sprintf("; %d keys attached", l.Keys)
}

func known(version string) string {
	if version == "" {
		return "not told"
	}
	return version
}

func (s *sheet) log(l recovery.Log, beside bool) {
	s.row("log", "%s, segments: %d, index %d to %d, committed %d, term %d", l.Dir, l.Segments, l.First, l.Last, l.Commit, l.Term)
	s.row("identity", "member %s of cluster %s", l.MemberID, l.ClusterID)
	switch {
	case !beside:
	case l.Behind.Entries == 0:
		s.row("only in log", "nothing: the database has applied all of it")
	default:
		s.row("only in log", "entries: %d, known to be committed: %d, writes: up to %d; lost if the database is restored without the log",
			l.Behind.Entries, l.Behind.Committed, l.Behind.Writes)
	}
}

func (s *sheet) findings(i recovery.Inspection) {
	for _, f := range i.Findings {
		s.row(strings.ToUpper(string(f.Weight)), "%s: %s", f.Name, f.Text)
		if f.Do != "" {
			s.row("", "do: %s", f.Do)
		}
	}
	if len(i.Findings) == 0 {
		s.row("findings", "none")
	}
}

func (s *sheet) choice(c recovery.Choice, none string) {
	s.head("which one to restore from")
	if c.Best != nil {
		s.row("best", "%s, revision %d", c.Best.Path, c.Best.RestorePoint)
	} else {
		s.row("none", "%s", none)
	}
	for _, other := range c.Others {
		s.row("other", "%s, revision %d, loses %d", other.Path, other.RestorePoint, other.Loses)
	}
	for _, refused := range c.Refused {
		reason := refused.Why
		if refused.Finding != "" {
			reason = string(refused.Finding) // it stands above in full
		}
		s.row("refused", "%s: %s", refused.Path, reason)
	}
	for _, sentence := range c.Because {
		s.row("because", "%s", sentence)
	}
}
