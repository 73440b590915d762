package recovery

import (
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// member is a directory in which nothing is wrong: member a of a cluster, which has applied everything.
func member() (Inspection, place) {
	content := &Content{
		RestorePoint: 90, Records: 90, Keys: 50, ConsistentIndex: 100, Term: 3,
		Members: []MemberRecord{{ID: 0xa}, {ID: 0xb}, {ID: 0xc}},
	}
	return Inspection{
		Path: "/data", Form: FormDirectory,
		Database: &Database{
			Path: "/data/member/snap/db", Kind: DBCopy, Hash: HashNotApplicable, SizeBytes: 16 << 20, ImageBytes: 1 << 20, Content: content,
		},
		Log: &Log{Dir: "/data/member/wal", MemberID: 0xa, ClusterID: 0xcc, Segments: 1, First: 1, Last: 100, Commit: 100, Snapshot: 80},
	}, place{form: FormDirectory, root: "/data", db: "/data/member/snap/db", wal: "/data/member/wal"}
}

// conclusion is what must follow from a change to a member in which nothing is wrong.
type conclusion struct {
	change func(i *Inspection, at *place, proof *evidence)
	want   FindingName // empty for none
	weight Weight
	boots  bool
	says   string
}

func TestWhatFollowsFromADatabaseAndItsLog(t *testing.T) {
	for name, c := range map[string]conclusion{
		"nothing wrong":               {func(*Inspection, *place, *evidence) {}, "", "", false, ""},
		"entries behind the database": {func(i *Inspection, _ *place, _ *evidence) { i.Log.Last, i.Log.Commit = 150, 140 }, "", "", false, ""},
		"a follower that received a snapshot": {func(i *Inspection, _ *place, _ *evidence) {
			i.Log.First, i.Log.Last, i.Log.Snapshot, i.Log.Commit = 1, 40, 100, 100
		}, "", "", false, ""},
		"a member that just joined": {func(i *Inspection, _ *place, _ *evidence) {
			i.Log.MemberID, i.Log.Joins = 0xd, []identity.MemberID{0xd}
		}, "", "", false, ""},
		"a member that was killed before its first entry": {func(i *Inspection, at *place, _ *evidence) {
			i.Database.Content, i.Log, at.wal = &Content{RestorePoint: 1}, nil, ""
		}, "", "", false, ""},
		"a database of later": {func(i *Inspection, _ *place, _ *evidence) { i.Log.Last = 99 }, AheadOfLog, Poisoned, true, "index 99"},
		"a log that begins too late": {func(i *Inspection, _ *place, _ *evidence) { i.Log.First, i.Log.Last = 102, 110 },
			BehindLog, Poisoned, false, "begins at index 102"},
		"a removed member": {func(i *Inspection, _ *place, _ *evidence) {
			i.Database.Content.Removed, i.Database.Content.Members = []identity.MemberID{0xa}, i.Database.Content.Members[1:]
		}, RemovedMember, Poisoned, false, "was removed"},
		"a snapshot that was received and not put in place": {func(i *Inspection, at *place, _ *evidence) {
			i.Log.Snapshot, i.Log.Commit, at.received = 0x1f4, 0x1f4, []string{"00000000000001f4.snap.db"}
		}, ReceivedSnapshot, Notice, false, "put it in the place"},
		"a snapshot that was recorded and is not there": {func(i *Inspection, at *place, _ *evidence) {
			i.Log.Snapshot, at.received = 0x1f4, []string{"00000000000001f3.snap.db"}
		}, BehindLog, Poisoned, false, "00000000000001f4.snap.db is not there"},
		"a snapshot whose receiving was interrupted": {func(_ *Inspection, at *place, _ *evidence) {
			at.received = []string{"00000000000001f4.snap.db"}
		}, ReceivedSnapshot, Notice, false, "interrupted"},
		"a log from its first entry without a database": {func(i *Inspection, at *place, _ *evidence) {
			i.Database, at.db, i.Log.Snapshot = nil, "", 0
		}, NoDatabase, Notice, false, "rebuild"},
	} {
		t.Run(name, c.expect)
	}
}

func TestWhatFollowsFromDamageAndContent(t *testing.T) {
	for name, c := range map[string]conclusion{
		"a damaged database": {func(_ *Inspection, _ *place, p *evidence) {
			p.dbFault = &SourceError{Fault: ErrTruncated, Why: "it ends"}
		}, "truncated", Damaged, false, "it ends"},
		"a damaged database of a running member": {func(_ *Inspection, _ *place, p *evidence) {
			p.dbFault, p.inUse = &SourceError{Fault: ErrBadStructure}, "a process holds it open"
		}, "bad-structure", Doubtful, false, "written to meanwhile"},
		"a damaged log": {func(_ *Inspection, _ *place, p *evidence) { p.logFault = &SourceError{Fault: ErrBadLog, Why: "torn"} },
			DamagedLog, Damaged, false, "torn; etcd refuses"},
		"a failed restore of a damaged source": {func(i *Inspection, at *place, p *evidence) {
			i.Database.Content, i.Log, at.wal = nil, nil, ""
			i.Database.SizeBytes = i.Database.ImageBytes
			p.dbFault = &SourceError{Fault: ErrBadStructure}
		}, FailedRestore, Poisoned, false, "image of a snapshot"},
		"a folder for a log with nothing in it": {func(i *Inspection, at *place, _ *evidence) {
			i.Log, at.wal, at.walEmpty = nil, "", true
		}, CutRestore, Poisoned, true, "log is empty"},
		"an old member whose log is gone": {func(i *Inspection, at *place, _ *evidence) {
			i.Log, at.wal, at.marks = nil, "", []string{"0000000000000002-0000000000000050.snap"}
		}, MissingLog, Poisoned, true, "up to index 100"},
		"an unfinished compaction": {func(i *Inspection, _ *place, _ *evidence) { i.Database.Content.ScheduledCompaction = 60 },
			OpenCompaction, Notice, false, "revision 60"},
		"a downgrade": {func(i *Inspection, _ *place, _ *evidence) { i.Database.Content.DowngradeTo = "3.6.0" },
			OpenDowngrade, Notice, false, "3.6.0"},
		"keys of leases that are gone": {func(i *Inspection, _ *place, _ *evidence) { i.Database.Content.Leases.LostKeys = 2 },
			LostLeases, Notice, false, "2 keys"},
	} {
		t.Run(name, c.expect)
	}
}

func (c conclusion) expect(t *testing.T) {
	i, at := member()
	var proof evidence
	c.change(&i, &at, &proof)
	i.Findings = diagnose(i, at, proof)
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
	if i.Sound() != (c.weight == Notice || c.weight == Doubtful) {
		t.Errorf("sound: %t with %+v", i.Sound(), i.Findings)
	}
}

func TestAFileThatASaveLeftIsNamed(t *testing.T) {
	for hash, want := range map[HashState]Weight{HashGood: Notice, HashNone: Poisoned} {
		i := Inspection{Path: "/backup/x.db.part", Form: FormSnapshot, Database: &Database{Hash: hash, Kind: SavedSnapshot}}
		i.Findings = diagnose(i, place{db: i.Path}, evidence{})
		if f, told := i.Find(UnfinishedSave); !told || f.Weight != want {
			t.Errorf("hash %s: %+v", hash, i.Findings)
		}
	}
}
