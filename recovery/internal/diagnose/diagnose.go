// Package diagnose finds what lies in a directory of etcd by the names of files, and says what follows from what was found in them.
package diagnose

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// Findings is the pure part of offline.Inspect: what follows from what was found.
func Findings(found recovery.Inspection, at Place, proof Evidence) []recovery.Finding {
	d := diagnosis{Inspection: found, at: at, proof: proof}
	d.damage()
	d.unfinishedSave()
	if at.Form == recovery.FormDirectory {
		switch {
		case d.Database == nil:
			d.withoutDatabase()
		case d.Log == nil:
			d.withoutLog()
		case d.Database.Content != nil && proof.LogFault == nil:
			d.together(*d.Database.Content, *d.Log)
		}
		d.leftovers()
	}
	if d.Database != nil && d.Database.Content != nil {
		d.content(*d.Database.Content)
	}
	return recovery.Gravest(d.found)
}

type diagnosis struct {
	recovery.Inspection
	at    Place
	proof Evidence
	found []recovery.Finding
}

func (d *diagnosis) add(f recovery.Finding) { d.found = append(d.found, f) }

// damage tells of bytes that are not what they were written as.
func (d *diagnosis) damage() {
	weight, unless := recovery.Damaged, ""
	if d.proof.InUse != "" {
		weight, unless = recovery.Doubtful, ", which may be because it was written to meanwhile"
		d.add(recovery.Finding{
			Name: recovery.InUse, Weight: recovery.Doubtful,
			Text: "the database may have changed while it was read: " + d.proof.InUse + "; a copy of a running member's database is often torn",
			Do:   "stop the member with SIGTERM and inspect again, or save a snapshot from it",
		})
	}
	if fault := d.proof.DBFault; fault != nil {
		d.add(recovery.Finding{
			Name: recovery.FindingName(recovery.FaultName(fault.Fault)), Weight: weight, Text: why(fault) + unless,
			Do: fault.Next(),
		})
	}
	if fault := d.proof.LogFault; fault != nil {
		d.add(recovery.Finding{
			Name: recovery.DamagedLog, Weight: weight, Text: why(fault) + "; etcd refuses to start on it",
			Do: "restore from the database alone, or from another member",
		})
	}
	if d.Database == nil {
		return
	}
	if d.Database.Hash == recovery.HashBad && d.at.Form != recovery.FormDirectory {
		d.add(recovery.Finding{
			Name: recovery.FindingName(recovery.FaultName(recovery.ErrBadHash)), Weight: recovery.Damaged,
			Text: "its integrity hash is not that of its content: something was changed after the save, be it in a value where nothing " +
				"else would show it",
			Do: "use another backup; restore from it, without the hash check, only if there is none",
		})
	}
	if d.at.Form != recovery.FormDirectory && d.Database.Kind == recovery.DBCopy && d.Database.SizeBytes == d.Database.ImageBytes {
		d.add(recovery.Finding{
			Name: recovery.LostHash, Weight: recovery.Notice,
			Text: "it is exactly as long as the image in a saved snapshot, without the hash behind it: nothing shows whether it was changed (" +
				UnlessNoFsync + ")",
		})
	}
	for _, warning := range d.Database.Warnings {
		d.add(recovery.Finding{Name: recovery.OddPages, Weight: recovery.Notice, Text: warning})
	}
}

// why says what is wrong without where, which an inspection says once.
func why(fault *recovery.SourceError) string {
	text := fault.Fault.Error()
	if reason := fault.Reason(); reason != "" {
		text += ": " + reason
	}
	return text
}

// unfinishedSave tells of a file that still has the name of one that is being written (Save in etcd's
// client/v3/snapshot/v3_snapshot.go).
func (d *diagnosis) unfinishedSave() {
	if d.at.Form != "" || filepath.Ext(d.Path) != ".part" {
		return
	}
	f := recovery.Finding{
		Name: recovery.UnfinishedSave, Weight: recovery.Poisoned,
		Text: "a save was ended before it could give this file its name, and nothing proves that it is complete",
		Do:   "use another backup, or save again",
	}
	if d.Database.Hash == recovery.HashGood {
		f.Weight = recovery.Notice
		f.Text = "a save was ended before it could give this file its name; it is complete, because its hash is right"
		f.Do = "give it a name of its own"
	}
	d.add(f)
}

// aftermath says what etcd makes of a database whose log is new. Seen with 3.5.35, 3.6.16 and 3.7.3.
func aftermath(index uint64) string {
	return fmt.Sprintf("etcd would start on this directory and must not: its log begins anew, and it ignores every entry up to index %d, "+
		"which the database claims to have applied; until then 3.6 and 3.7 are not ready, and 3.5 takes connections and times out on "+
		"every write", index)
}

// UnlessNoFsync is the case in which the length of a database does not tell a snapshot from what a server wrote: such a server
// does not allocate ahead (NoGrowSync in bbolt's db.go).
const UnlessNoFsync = "so is the database of a server that ran with --unsafe-no-fsync"

const startOver = "remove the directory and restore again, from a source that etcd-drill inspect finds nothing against"

// withoutLog tells the ways apart in which a directory comes to have a database and no log.
func (d *diagnosis) withoutLog() {
	db, sound := d.Database, d.proof.DBFault == nil
	var c recovery.Content
	if db.Content != nil {
		c = *db.Content
	}
	if db.Content != nil && c.ConsistentIndex == 0 && c.Records == 0 {
		return // a member that was killed before it made its log
	}
	f := recovery.Finding{Weight: recovery.Poisoned, Boots: sound, Do: startOver}
	switch {
	case db.Kind == recovery.SavedSnapshot:
		f.Name, f.Text = recovery.FailedRestore, fmt.Sprintf("there is no write-ahead log, and the database still has a snapshot's integrity "+
			"hash behind it "+
			"(%s): a restore was ended while it copied", db.Hash)
	case sound && len(c.Members) == 0 && len(d.at.marks) == 0:
		f.Name, f.Text = recovery.CutRestore, "there is no write-ahead log, and the database has lost its members: a restore was ended before "+
			"it made the log"
	case d.at.walEmpty && len(d.at.marks) == 0:
		f.Name, f.Text = recovery.CutRestore, "the write-ahead log is empty: a restore was ended before it made the log"
	case d.at.walBeside != "":
		f.Name, f.Text = recovery.MissingLog, "there is no write-ahead log where etcd looks for it unless it is told; "+
			"there is one in "+d.at.walBeside
		f.Do = "start etcd with --wal-dir " + d.at.walBeside + ", and inspect with it, too"
	case len(d.at.marks) > 0 || sound && c.Term == 1 && c.ConsistentIndex == uint64(len(c.Members)):
		f.Name, f.Text = recovery.MissingLog, "there is no write-ahead log, and there was one: it lay in a directory of its own, or was removed"
		f.Do = "start etcd with the --wal-dir that it had, and name that directory here with --wal-dir; if it is lost, restore from this database"
	case db.ImageBytes == db.SizeBytes:
		f.Name, f.Text = recovery.FailedRestore, "there is no write-ahead log, and the database is exactly the image of a snapshot: a restore "+
			"copied it and got no further, because its integrity hash was wrong or because it was ended ("+UnlessNoFsync+")"
	default:
		f.Name, f.Text = recovery.BareDatabase, "there is a database and no write-ahead log: it was put here without a restore"
		f.Do = "restore from this database instead (etcdutl snapshot restore --skip-hash-check), into a new directory on every member"
	}
	switch {
	case f.Boots && c.ConsistentIndex <= uint64(len(c.Members)): // as a restore leaves it, so a new log is past it at once
		f.Text += ". etcd would start on this directory and must not: it makes a new log for whoever its flags say it is, and is ready"
	case f.Boots:
		f.Text += ". " + aftermath(c.ConsistentIndex)
	}
	d.add(f)
}

func (d *diagnosis) withoutDatabase() {
	log := d.Log
	switch {
	case d.proof.LogFault != nil:
	case log.Snapshot == 0 && log.First <= 1:
		d.add(recovery.Finding{
			Name: recovery.NoDatabase, Weight: recovery.Notice,
			Text: fmt.Sprintf("there is no database; etcd would rebuild it from the write-ahead log, which holds every entry from the "+
				"first to %d", log.Last),
		})
	default:
		d.add(recovery.Finding{
			Name: recovery.NoDatabase, Weight: recovery.Poisoned,
			Text: fmt.Sprintf("there is no database, and the write-ahead log counts on one that has applied index %d; etcd refuses to "+
				"start", log.Snapshot),
			Do: "remove the member and add it again with an empty directory, or restore every member from another source",
		})
	}
}

// together tells whether a database and a log belong to each other.
func (d *diagnosis) together(c recovery.Content, log recovery.Log) {
	isMember := slices.ContainsFunc(c.Members, func(m recovery.MemberRecord) bool { return m.ID == log.MemberID })
	reach := max(log.Last, log.Snapshot) // a member that received a snapshot has no entries up to it
	switch {
	case c.ConsistentIndex > reach && log.Bootstrap:
		d.add(recovery.Finding{
			Name: recovery.UnfinishedRestore, Weight: recovery.Poisoned, Boots: true, Do: startOver,
			Text: fmt.Sprintf("the write-ahead log is that of a new cluster and ends at index %d, and the database still counts by that "+
				"of the old one: "+
				"a restore was ended before its last step. %s", log.Last, aftermath(c.ConsistentIndex)),
		})
	case c.ConsistentIndex > reach:
		d.add(recovery.Finding{
			Name: recovery.AheadOfLog, Weight: recovery.Poisoned, Boots: true,
			Text: fmt.Sprintf("the write-ahead log ends at index %d, and the database claims to have applied more: they are not of one "+
				"member at one time. %s",
				reach, aftermath(c.ConsistentIndex)),
			Do: "restore every member from this database, or from a better source",
		})
	case c.ConsistentIndex < log.Snapshot:
		d.awaitsSnapshot(c, log)
	case log.First > c.ConsistentIndex+1:
		d.add(recovery.Finding{
			Name: recovery.BehindLog, Weight: recovery.Poisoned,
			Text: fmt.Sprintf("the write-ahead log begins at index %d, and the database has applied %d: what lies between is "+
				"gone", log.First, c.ConsistentIndex),
			Do: "restore every member from this database, or from a better source",
		})
	}
	switch {
	case slices.Contains(c.Removed, log.MemberID):
		d.add(recovery.Finding{
			Name: recovery.RemovedMember, Weight: recovery.Poisoned,
			Text: fmt.Sprintf("member %s was removed from its cluster; the others refuse it, and etcd exits", log.MemberID),
			Do:   "use another member's directory; this one holds what the cluster had when it was removed",
		})
	case len(c.Members) > 0 && !isMember && !slices.Contains(log.Joins, log.MemberID):
		d.add(recovery.Finding{
			Name: recovery.ForeignDatabase, Weight: recovery.Poisoned, Boots: true,
			Text: fmt.Sprintf("the write-ahead log is that of member %s of cluster %s, and the database knows the members %s: it comes "+
				"from elsewhere. "+
				"etcd would start on this directory and must not", log.MemberID, log.ClusterID, memberIDs(c.Members)),
			Do: "restore from the database that you trust, into a new directory on every member",
		})
	}
}

func memberIDs(members []recovery.MemberRecord) string {
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i] = m.ID.String()
	}
	return strings.Join(ids, ", ")
}

// awaitsSnapshot tells of a log that has recorded a snapshot which the database does not contain yet.
func (d *diagnosis) awaitsSnapshot(c recovery.Content, log recovery.Log) {
	name := fmt.Sprintf("%016x.snap.db", log.Snapshot)
	if slices.Contains(d.at.received, name) {
		d.add(recovery.Finding{
			Name: recovery.ReceivedSnapshot, Weight: recovery.Notice,
			Text: fmt.Sprintf("the leader had sent a newer database, up to index %d, and etcd would put it in the place of this one, "+
				"which ends at %d", log.Snapshot, c.ConsistentIndex),
			Do: "if you restore from this directory, inspect " + filepath.Join(filepath.Dir(d.at.DB), name) + " and take that",
		})
		return
	}
	d.add(recovery.Finding{
		Name: recovery.BehindLog, Weight: recovery.Poisoned,
		Text: fmt.Sprintf("the write-ahead log has recorded a snapshot at index %d, the database ends at %d, and %s is not there; "+
			"etcd refuses to start",
			log.Snapshot, c.ConsistentIndex, name),
		Do: "remove the member and add it again with an empty directory, or restore every member from another source",
	})
}

// leftovers tells of received databases that nothing refers to.
func (d *diagnosis) leftovers() {
	for _, name := range d.at.received {
		if d.Log != nil && name == fmt.Sprintf("%016x.snap.db", d.Log.Snapshot) && d.Database != nil &&
			d.Database.Content != nil && d.Database.Content.ConsistentIndex < d.Log.Snapshot {
			continue // told already
		}
		d.add(recovery.Finding{
			Name: recovery.ReceivedSnapshot, Weight: recovery.Notice,
			Text: name + " was sent by a leader and not recorded in the write-ahead log: the receiving was interrupted; etcd does not use it",
		})
	}
}

// Content tells what of the content will surprise whoever restores it.
func (d *diagnosis) content(c recovery.Content) {
	for _, alarm := range c.Alarms {
		d.add(recovery.Finding{
			Name: recovery.RaisedAlarm, Weight: recovery.Notice,
			Text: fmt.Sprintf("alarm %s of member %s survives a restore, and the new cluster refuses writes", alarm.Type, alarm.Member),
			Do:   "etcdctl alarm disarm, after the restore",
		})
	}
	if c.ScheduledCompaction > c.FinishedCompaction {
		d.add(recovery.Finding{
			Name: recovery.OpenCompaction, Weight: recovery.Notice,
			Text: fmt.Sprintf("a compaction to revision %d was scheduled and not finished; a server resumes it", c.ScheduledCompaction),
		})
	}
	if c.DowngradeTo != "" {
		d.add(recovery.Finding{
			Name: recovery.OpenDowngrade, Weight: recovery.Notice,
			Text: "a downgrade to " + c.DowngradeTo + " is enabled, and a restore keeps it so",
			Do:   "etcdctl downgrade cancel, after the restore, unless you want to go on with it",
		})
	}
	if n := c.Leases.LostKeys; n > 0 {
		d.add(recovery.Finding{
			Name: recovery.LostLeases, Weight: recovery.Notice,
			Text: fmt.Sprintf("%d keys are attached to leases that are not there; nothing will expire them", n),
		})
	}
}
