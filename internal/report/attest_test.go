package report_test

import (
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

func TestAnAttestationSaysHowEachPartIsKnown(t *testing.T) {
	r := lossyDrill().Hold(goals(time.Minute, 0, 94))
	r.Verdict.Claims = []verify.Claim{
		{Name: "prefix", State: verify.Proved, Text: "a"}, {Name: "members", State: verify.Sampled, Text: "b"},
		{Name: "fence", State: verify.Assumed, Text: "c"}, {Name: "state", State: verify.LeftOut, Text: "d"},
		{Name: "canary", State: verify.Disproved, Text: "e"}, {Name: "new", State: "guessed", Text: "f"},
	}
	a := r.Attest(report.Drilled{Kind: "db", SHA256: "c0ffee", SizeBytes: 7, TakenAt: signalAt().Add(-time.Hour)})
	for state, c := range map[string]struct {
		got  []report.Check
		want []string
	}{
		"proved": {a.Checks.Proved, []string{"prefix a"}}, "sampled": {a.Checks.Sampled, []string{"members b"}},
		"assumed":   {a.Checks.Assumed, []string{"fence c", "host the containers have no way out of the engine"}},
		"left out":  {a.Checks.LeftOut, []string{"state d", "new f", "host freeze: the engine has no freezer cgroup"}},
		"disproved": {a.Checks.Disproved, []string{"canary e"}},
	} {
		if len(c.got) != len(c.want) {
			t.Errorf("%s: %v, want %q", state, c.got, c.want)
			continue
		}
		for i, check := range c.got {
			if check.Name+" "+check.Text != c.want[i] {
				t.Errorf("%s: %v, want %q", state, check, c.want[i])
			}
		}
	}
	if a.Drilled.Age != time.Hour || a.Drilled.RestorePoint != 10107 || a.Verdict != verify.Intact || a.Result != report.Failed {
		t.Errorf("%+v", a)
	}
	if late := r.Attest(report.Drilled{SHA256: "c0ffee", TakenAt: signalAt().Add(time.Second)}); late.Drilled.Age != 0 {
		t.Errorf("a source that was taken after the signal is %s old", late.Drilled.Age)
	}
	refused := report.Report{Failure: "no room"}.Attest(report.Drilled{SHA256: "c0ffee", RestorePoint: 5, Age: time.Minute})
	if refused.Failure != "no room" || refused.Verdict != verify.Inconclusive ||
		refused.Drilled.RestorePoint != 5 || refused.Drilled.Age != time.Minute {
		t.Errorf("%+v", refused)
	}
	if none := r.Attest(report.Drilled{}); none.Drilled != (report.Drilled{}) {
		t.Errorf("a route without a source was drilled on %+v", none.Drilled)
	}
}
