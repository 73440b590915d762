package report

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
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

func TestThePageOfABackupSaysWhatItHolds(t *testing.T) {
	r := ownSample()
	r.Phases = []Phase{
		{Name: PhaseRecover, StartedAt: begin(), Duration: 100 * time.Second},
		{Name: PhaseProof, StartedAt: second(100), Duration: 60 * time.Second},
	}
	r.RTO = NewRTO(begin(), []Step{
		{Name: PartRestore, From: begin(), To: second(80)}, {Name: PartFirstWrite, From: second(80), To: second(100)},
	})
	r.Identity.NewMembers = map[string]identity.MemberID{"m2": 2, "m1": 1}
	r.Backup.Kubernetes.Resources[1].Encrypted, r.Backup.Kubernetes.Resources[1].Providers = 3, []string{"aescbc", "kms"}
	var out strings.Builder
	if err := WriteHTML(&out, Page{Report: r, Turns: Turns{Started: second(80)}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"<dd>saved snapshot</dd>", "<dd>revision 7</dd>", "<tr><td>secrets</td><td>4</td><td>3, aescbc, kms</td></tr>",
		"<li>writes after the backup</li>",
		"<b>Advice:</b> bump the revision", "<b>Warning:</b> an odd page", "What was written after the backup is not known",
		`<span class="name">m1</span>`, `<svg x="50.000%" width="50.000%" height="24"><rect class="new"`,
		`<svg x="0.000%" width="62.500%" height="24"><rect class="rto"`, "Times count from the start",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	for _, wrong := range []string{"What was lost", "acknowledged writes", "what clients met", "lose  by"} {
		if strings.Contains(out.String(), wrong) {
			t.Errorf("the page of a drill without a load says %q", wrong)
		}
	}
}

func TestThePageOfABackupSaysWhatIsKnownOfItsAge(t *testing.T) {
	r := ownSample()
	r.Phases = []Phase{{Name: PhaseTake, StartedAt: begin(), Duration: time.Second}}
	r.Backup.Modified = begin().Add(-90 * time.Second)
	if text := r.loses().Text; !strings.Contains(text, stamp(r.Backup.Modified)+", 1m30s before the drill") {
		t.Error(text)
	}
	r.Backup.Modified = begin().Add(-73 * time.Hour)
	if text := r.loses().Text; !strings.Contains(text, ", 3 days before the drill") {
		t.Error(text)
	}
	r.Backup.Taken = &Taken{Endpoint: "m1"} // it was saved only now
	if text := r.loses().Text; strings.Contains(text, "before the drill") {
		t.Error(text)
	}
}

func TestThePageOfARefusedBackupSaysNo(t *testing.T) {
	for kind, says := range map[verify.Kind]string{verify.BadSource: "proved bad", verify.OtherBackup: "manifest"} {
		r := ownSample()
		r.Plan, r.RTO, r.Phases, r.Verdict = nil, RTO{}, nil, verify.Refuse(kind, "because")
		if a := r.comesBack(); a.Short != "No" || a.Class != bad || !strings.Contains(a.Text, says) {
			t.Errorf("%+v", a)
		}
		if a := r.takes(); a.Text != "Nothing was restored." {
			t.Errorf("%+v", a)
		}
		var out strings.Builder
		if err := WriteHTML(&out, Page{Report: r}); err != nil || strings.Contains(out.String(), "<dd>,</dd>") {
			t.Error(err, "or an etcd of no version")
		}
	}
}

func TestTheDrillOfABackupFitsOnATerminal(t *testing.T) {
	r := ownSample()
	for range 30 {
		r.Backup.Advice = append(r.Backup.Advice, "advice")
		r.Verdict.Findings = append(r.Verdict.Findings, verify.Finding{Kind: verify.Missing, Text: "it is not there"})
	}
	r.Verdict.Outcome, r.Verdict.FindingCount = verify.Damaged, 30
	if text := textOf(t, r); strings.Count(text, "\n") > textLines {
		t.Errorf("%d lines:\n%s", strings.Count(text, "\n"), text)
	}
}
