package diagnose

import (
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// member is a directory in which nothing is wrong: member a of a cluster, which has applied everything.
func member() (recovery.Inspection, Place) {
	content := &recovery.Content{
		RestorePoint: 90, Records: 90, Keys: 50, ConsistentIndex: 100, Term: 3,
		Members: []recovery.MemberRecord{{ID: 0xa}, {ID: 0xb}, {ID: 0xc}},
	}
	return recovery.Inspection{
		Path: "/data", Form: recovery.FormDirectory,
		Database: &recovery.Database{
			Path: "/data/member/snap/db", Kind: recovery.DBCopy, Hash: recovery.HashNotApplicable, SizeBytes: 16 << 20,
			ImageBytes: 1 << 20, Content: content,
		},
		Log: &recovery.Log{Dir: "/data/member/wal", MemberID: 0xa, ClusterID: 0xcc, Segments: 1, First: 1, Last: 100, Commit: 100, Snapshot: 80},
	}, Place{Form: recovery.FormDirectory, root: "/data", DB: "/data/member/snap/db", WAL: "/data/member/wal"}
}

// conclusion is what must follow from a change to a member in which nothing is wrong.
type conclusion struct {
	change func(i *recovery.Inspection, at *Place, proof *Evidence)
	want   recovery.FindingName // empty for none
	weight recovery.Weight
	boots  bool
	says   string
}

func TestWhatFollowsFromADatabaseAndItsLog(t *testing.T) {
	for name, c := range map[string]conclusion{
		"nothing wrong": {func(*recovery.Inspection, *Place, *Evidence) {}, "", "", false, ""},
		"entries behind the database": {func(i *recovery.Inspection, _ *Place, _ *Evidence) { i.Log.Last, i.Log.Commit = 150, 140 }, "",
			"", false, ""},
		"a follower that received a snapshot": {func(i *recovery.Inspection, _ *Place, _ *Evidence) {
			i.Log.First, i.Log.Last, i.Log.Snapshot, i.Log.Commit = 1, 40, 100, 100
		}, "", "", false, ""},
		"a member that just joined": {func(i *recovery.Inspection, _ *Place, _ *Evidence) {
			i.Log.MemberID, i.Log.Joins = 0xd, []identity.MemberID{0xd}
		}, "", "", false, ""},
		"a member that was killed before its first entry": {func(i *recovery.Inspection, at *Place, _ *Evidence) {
			i.Database.Content, i.Log, at.WAL = &recovery.Content{RestorePoint: 1}, nil, ""
		}, "", "", false, ""},
		"a database of later": {func(i *recovery.Inspection, _ *Place, _ *Evidence) { i.Log.Last = 99 }, recovery.AheadOfLog,
			recovery.Poisoned, true, "index 99"},
		"a log that begins too late": {func(i *recovery.Inspection, _ *Place, _ *Evidence) { i.Log.First, i.Log.Last = 102, 110 },
			recovery.BehindLog, recovery.Poisoned, false, "begins at index 102"},
		"a removed member": {func(i *recovery.Inspection, _ *Place, _ *Evidence) {
			i.Database.Content.Removed, i.Database.Content.Members = []identity.MemberID{0xa}, i.Database.Content.Members[1:]
		}, recovery.RemovedMember, recovery.Poisoned, false, "was removed"},
		"a snapshot that was received and not put in place": {func(i *recovery.Inspection, at *Place, _ *Evidence) {
			i.Log.Snapshot, i.Log.Commit, at.received = 0x1f4, 0x1f4, []string{"00000000000001f4.snap.db"}
		}, recovery.ReceivedSnapshot, recovery.Notice, false, "put it in the place"},
		"a snapshot that was recorded and is not there": {func(i *recovery.Inspection, at *Place, _ *Evidence) {
			i.Log.Snapshot, at.received = 0x1f4, []string{"00000000000001f3.snap.db"}
		}, recovery.BehindLog, recovery.Poisoned, false, "00000000000001f4.snap.db is not there"},
		"a snapshot whose receiving was interrupted": {func(_ *recovery.Inspection, at *Place, _ *Evidence) {
			at.received = []string{"00000000000001f4.snap.db"}
		}, recovery.ReceivedSnapshot, recovery.Notice, false, "interrupted"},
		"a log from its first entry without a database": {func(i *recovery.Inspection, at *Place, _ *Evidence) {
			i.Database, at.DB, i.Log.Snapshot = nil, "", 0
		}, recovery.NoDatabase, recovery.Notice, false, "rebuild"},
	} {
		t.Run(name, c.expect)
	}
}

func TestWhatFollowsFromDamageAndContent(t *testing.T) {
	for name, c := range map[string]conclusion{
		"a damaged database": {func(_ *recovery.Inspection, _ *Place, p *Evidence) {
			p.DBFault = &recovery.SourceError{Fault: recovery.ErrTruncated, Why: "it ends"}
		}, "truncated", recovery.Damaged, false, "it ends"},
		"a damaged database of a running member": {func(_ *recovery.Inspection, _ *Place, p *Evidence) {
			p.DBFault, p.InUse = &recovery.SourceError{Fault: recovery.ErrBadStructure}, "a process holds it open"
		}, "bad-structure", recovery.Doubtful, false, "written to meanwhile"},
		"a damaged log": {func(_ *recovery.Inspection, _ *Place, p *Evidence) {
			p.LogFault = &recovery.SourceError{Fault: recovery.ErrBadLog, Why: "torn"}
		},
			recovery.DamagedLog, recovery.Damaged, false, "torn; etcd refuses"},
		"a failed restore of a damaged source": {func(i *recovery.Inspection, at *Place, p *Evidence) {
			i.Database.Content, i.Log, at.WAL = nil, nil, ""
			i.Database.SizeBytes = i.Database.ImageBytes
			p.DBFault = &recovery.SourceError{Fault: recovery.ErrBadStructure}
		}, recovery.FailedRestore, recovery.Poisoned, false, "image of a snapshot"},
		"a folder for a log with nothing in it": {func(i *recovery.Inspection, at *Place, _ *Evidence) {
			i.Log, at.WAL, at.walEmpty = nil, "", true
		}, recovery.CutRestore, recovery.Poisoned, true, "log is empty"},
		"an old member whose log is gone": {func(i *recovery.Inspection, at *Place, _ *Evidence) {
			i.Log, at.WAL, at.marks = nil, "", []string{"0000000000000002-0000000000000050.snap"}
		}, recovery.MissingLog, recovery.Poisoned, true, "up to index 100"},
		"an unfinished compaction": {func(i *recovery.Inspection, _ *Place, _ *Evidence) { i.Database.Content.ScheduledCompaction = 60 },
			recovery.OpenCompaction, recovery.Notice, false, "revision 60"},
		"a downgrade": {func(i *recovery.Inspection, _ *Place, _ *Evidence) { i.Database.Content.DowngradeTo = "3.6.0" },
			recovery.OpenDowngrade, recovery.Notice, false, "3.6.0"},
		"keys of leases that are gone": {func(i *recovery.Inspection, _ *Place, _ *Evidence) { i.Database.Content.Leases.LostKeys = 2 },
			recovery.LostLeases, recovery.Notice, false, "2 keys"},
	} {
		t.Run(name, c.expect)
	}
}

func (c conclusion) expect(t *testing.T) {
	i, at := member()
	var proof Evidence
	c.change(&i, &at, &proof)
	i.Findings = Findings(i, at, proof)
	if c.want == "" {
		if len(i.Findings) > 0 {
			t.Errorf("got %+v, want nothing", i.Findings)
		}
		return
	}
	f, told := i.Find(c.want)
	if !told || f.Weight != c.weight || f.Boots != c.boots || !strings.Contains(f.Text, c.says) {
		t.Errorf("got %+v, want %s", i.Findings, c.want)
	}
	if i.Sound() != (c.weight == recovery.Notice || c.weight == recovery.Doubtful) {
		t.Errorf("sound: %t with %+v", i.Sound(), i.Findings)
	}
}

func TestAFileThatASaveLeftIsNamed(t *testing.T) {
	for hash, want := range map[recovery.HashState]recovery.Weight{recovery.HashGood: recovery.Notice, recovery.HashNone: recovery.Poisoned} {
		i := recovery.Inspection{Path: "/backup/x.db.part", Form: recovery.FormSnapshot, Database: &recovery.Database{Hash: hash,
			Kind: recovery.SavedSnapshot}}
		i.Findings = Findings(i, Place{DB: i.Path}, Evidence{})
		if f, told := i.Find(recovery.UnfinishedSave); !told || f.Weight != want {
			t.Errorf("hash %s: %+v", hash, i.Findings)
		}
	}
}
