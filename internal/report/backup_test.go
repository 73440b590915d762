package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// ownSample is the drill of a backup that came back.
func ownSample() Report {
	return Report{
		SchemaVersion: SchemaVersion, Number: 1, Of: 1, Title: "backup etcd.db, restored as 3 members", Folder: ".drill/1",
		Spec: Spec{Members: 3, Source: "snapshot"}, Plan: &Plan{},
		Phases: []Phase{{Name: PhaseProof}},
		RTO:    RTO{Complete: true, Total: 2 * time.Second, Parts: []Part{{Name: PartRestore}}},
		Backup: &Backup{
			Form: "snapshot", Packing: []string{"gzip"}, SizeBytes: 20 << 20, Hashed: true, RestorePoint: 7, Keys: 5, StorageVersion: "3.6.0",
			Kubernetes: &Kubernetes{Objects: 5, Resources: []Resource{{Name: "pods", Objects: 1}, {Name: "secrets", Objects: 4}}},
			NotCarried: []string{"writes after the backup"}, Advice: []string{"bump the revision"}, Warnings: []string{"an odd page"},
		},
		Verdict: verify.Verdict{
			Outcome: verify.Intact, Witness: verify.BySource, RestorePoint: 7,
			Compared: verify.Compared{Revisions: 6, Keys: 5, Members: 3},
			Claims: []verify.Claim{
				{Name: "outage", State: "left out", Text: "no cluster was lost"}, {Name: "prefix", State: "left out", Text: "nobody wrote it down"},
				{Name: "fence", State: "left out", Text: "nobody comes back"}, {Name: "members", State: "proved"},
			},
		},
	}
}

func textOf(t *testing.T, r Report) string {
	t.Helper()
	var out strings.Builder
	if err := WriteText(&out, r, Style{}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheDrillOfABackupSaysWhatIsNotKnown(t *testing.T) {
	text := textOf(t, ownSample())
	for _, want := range []string{
		" backup   saved snapshot in gzip, 20 MiB, hash good  revision 7, 5 keys, storage 3.6.0\n",
		" objects  5 objects of Kubernetes: 4 secrets, 1 pods\n",
		" rto      first write 2.0s after the backup was taken up, without human time\n",
		" proof    3/3 members: 5 keys and 6 revisions as in the backup, HashKV equal\n",
		" not back writes after the backup\n", " advice   bump the revision\n", " warning  an odd page\n",
		" INTACT   what was written after the backup is not known  .drill/1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "left out") {
		t.Errorf("what is left out by nature is listed:\n%s", text)
	}
}

func TestABackupThatWasRefusedWasNotRestored(t *testing.T) {
	r := ownSample()
	r.Plan, r.Backup, r.RTO, r.Phases = nil, &Backup{Form: "snapshot"}, RTO{}, nil
	r.Verdict = verify.Verdict{
		Outcome: verify.Damaged, Witness: verify.BySource, FindingCount: 1, Findings: []verify.Finding{{Kind: verify.BadSource, Text: "bad"}},
	}
	text := textOf(t, r)
	if !strings.Contains(text, "DAMAGED  1 finding; nothing was restored") || strings.Contains(text, "\n backup ") || r.Result() != Failed {
		t.Errorf("%s: %s", r.Result(), text)
	}
}

func TestTargetsOfABackup(t *testing.T) {
	rto, none := time.Second, int64(0)
	r := ownSample().Hold(Goals{RTO: &rto, RPO: &rto, MaxLost: &none})
	met := func(name string) Target {
		return r.Targets[slices.IndexFunc(r.Targets, func(t Target) bool { return t.Name == name })]
	}
	if got := met(TargetRTO); got.Met || got.Unmeasured != "" {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{TargetRPO, TargetMaxLost} {
		if got := met(name); got.Met || got.Unmeasured == "" {
			t.Errorf("%+v", got)
		}
	}
}

func TestManyResourcesAreCutInText(t *testing.T) {
	r := ownSample()
	for range 20 {
		r.Backup.Kubernetes.Resources = append(r.Backup.Kubernetes.Resources, Resource{Name: "x", Objects: 1})
	}
	if text := textOf(t, r); !strings.Contains(text, "and 10 more: report.json") {
		t.Error(text)
	}
}
