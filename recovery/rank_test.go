package recovery

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// remains is an inspected source of a cluster with members a, b and c.
func remains(path string, revision int64, change ...func(*Inspection)) Inspection {
	i := Inspection{Path: path, Form: FormDB, Database: &Database{
		Path: path, Kind: DBCopy, Hash: HashNone, SHA256: "sum of " + path,
		Content: &Content{
			RestorePoint: revision, Records: revision, Keys: 50, ConsistentIndex: uint64(revision) + 20,
			Members: []MemberRecord{{ID: 0xa}, {ID: 0xb}, {ID: 0xc}},
		},
	}}
	for _, do := range change {
		do(&i)
	}
	return i
}

func hashed(i *Inspection) {
	i.Form, i.Database.Kind, i.Database.Hash = FormSnapshot, SavedSnapshot, HashGood
}

func directory(cluster identity.ClusterID, writes uint64) func(*Inspection) {
	return func(i *Inspection) {
		i.Form, i.Database.Path = FormDirectory, i.Path+"/member/snap/db"
		i.Log = &Log{ClusterID: cluster, MemberID: 0xa, Behind: Behind{Entries: writes, Writes: writes}}
	}
}

func flawed(name FindingName, weight Weight) func(*Inspection) {
	return func(i *Inspection) {
		i.Findings = []Finding{{Name: name, Weight: weight, Text: "it has " + string(name)}}
	}
}

func ofMembers(ids ...identity.MemberID) func(*Inspection) {
	return func(i *Inspection) {
		i.Database.Content.Members = nil
		for _, id := range ids {
			i.Database.Content.Members = append(i.Database.Content.Members, MemberRecord{ID: id})
		}
	}
}

// ranked is what must become of some sources.
type ranked struct {
	of      []Inspection
	want    string // the paths from the best on
	loses   []int64
	refused string
	says    []string
}

func TestTheBestSourceIsChosen(t *testing.T) {
	for name, c := range map[string]ranked{
		"one": {of: []Inspection{remains("x", 100)}, want: "x", loses: []int64{0}, says: []string{"x reaches revision 100, which nothing"}},
		"the highest revision": {
			of:   []Inspection{remains("low", 90, hashed), remains("high", 100), remains("mid", 99)},
			want: "high mid low", loses: []int64{0, 1, 10},
			says: []string{"mid reaches revision 99 and would lose 1 revision", "low reaches revision 90 and would lose 10 revisions"},
		},
		"a hash among equals": {
			of:   []Inspection{remains("bare", 100), remains("saved", 100, hashed)},
			want: "saved bare", loses: []int64{0, 0},
			says: []string{
				"its hash proves", "bare reaches the same revision, without a hash", "restore every member from saved and from nothing else",
			},
		},
		"what is damaged or half restored is refused": {
			of: []Inspection{
				remains("damaged", 100, flawed("bad-hash", Damaged)), remains("good", 10), remains("failed", 100, flawed(FailedRestore, Poisoned)),
				remains("part", 100, flawed(UnfinishedSave, Poisoned)), remains("torn", 100, flawed(InUse, Doubtful)),
				{Path: "log only", Log: &Log{}},
			},
			want: "good", loses: []int64{0}, refused: "damaged failed part torn log only",
		},
		"a database is good without its log": {
			of:   []Inspection{remains("dir", 100, flawed(MissingLog, Poisoned)), remains("other", 90, flawed(DamagedLog, Damaged))},
			want: "dir other", loses: []int64{0, 10},
		},
		"a log is no source, but is told of": {
			of:   []Inspection{remains("best", 100), remains("dir", 95, directory(0xcc, 30)), remains("old", 50, directory(0xcc, 3))},
			want: "best dir old", loses: []int64{0, 5, 50},
			says: []string{"beside dir/member/snap/db goes on for up to 30 writes, to revision 125 at most"},
		},
		"members that were replaced connect sources": {
			of: []Inspection{
				remains("now", 100, ofMembers(0xd, 0xe)), remains("then", 50, ofMembers(0xa, 0xb)), remains("between", 70, ofMembers(0xb, 0xd)),
			},
			want: "now between then", loses: []int64{0, 30, 50},
		},
	} {
		t.Run(name, func(t *testing.T) {
			choice, err := Rank(c.of)
			if err != nil {
				t.Fatal(err)
			}
			c.expect(t, choice)
		})
	}
}

func (c ranked) expect(t *testing.T, choice Choice) {
	t.Helper()
	var order, refused []string
	var loses []int64
	for _, one := range append([]Candidate{*choice.Best}, choice.Others...) {
		order, loses = append(order, one.Path), append(loses, one.Loses)
		if one.SHA256 != "sum of "+one.Path {
			t.Errorf("%+v", one)
		}
	}
	for _, r := range choice.Refused {
		refused = append(refused, r.Path)
		if r.Why == "" {
			t.Errorf("nothing is said of %s", r.Path)
		}
	}
	if strings.Join(order, " ") != c.want || !slices.Equal(loses, c.loses) || strings.Join(refused, " ") != c.refused {
		t.Errorf("order %q losing %d, refused %q", order, loses, refused)
	}
	text := strings.Join(choice.Because, "\n")
	for _, say := range append(c.says, "restore every member from "+choice.Best.Database, "and from nothing else") {
		if !strings.Contains(text, say) {
			t.Errorf("it does not say %q:\n%s", say, text)
		}
	}
	if strings.Contains(text, "up to 3 writes") {
		t.Errorf("it tells of a log that ends before the best source:\n%s", text)
	}
}

func TestWhatCannotBeRankedIsRefused(t *testing.T) {
	reused := func(i *Inspection) { i.Database.Content.ConsistentIndex = 7 }
	fewer := func(i *Inspection) { i.Database.Content.Keys-- }
	mute := func(i *Inspection) { i.Database.Content.Members = nil }
	for name, c := range map[string]struct {
		of   []Inspection
		want error
		says string
	}{
		"nothing":        {nil, ErrNoUsableSource, "0 of 0"},
		"nothing usable": {[]Inspection{remains("x", 1, flawed("empty", Damaged))}, ErrNoUsableSource, "1 of 1"},
		"two clusters":   {[]Inspection{remains("x", 100), remains("y", 90, ofMembers(1, 2))}, ErrOtherCluster, "y (of members [1 2])"},
		"two clusters by logs": {
			[]Inspection{remains("x", 100, directory(0xcc, 0)), remains("y", 90, directory(0xdd, 0), ofMembers(1))},
			ErrOtherCluster, "of cluster dd",
		},
		"one that does not say": {[]Inspection{remains("x", 100), remains("y", 90, mute)}, ErrOtherCluster, "do not say of which cluster"},
		"a lineage under a token that was used before": {[]Inspection{remains("x", 100, reused), remains("y", 90)}, ErrForked,
			"x has revision 100 at raft index 7, y has the lower revision 90 at index 110"},
		"two lineages at one revision": {
			[]Inspection{remains("x", 100), remains("y", 100, fewer)},
			ErrForked, "x has 50 keys in 100 records, y has 49",
		},
	} {
		choice, err := Rank(c.of)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || choice.Best != nil || len(choice.Others) > 0 {
			t.Errorf("%s: %+v, %v", name, choice, err)
		}
	}
	if choice, err := Rank([]Inspection{remains("x", 100, mute), remains("y", 90, mute)}); err != nil || choice.Best.Path != "x" {
		t.Errorf("two of the same silence: %+v, %v", choice, err)
	}
}
