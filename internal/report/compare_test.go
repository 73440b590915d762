package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

func wayWith(name string, lost, resurrected int64, agreed time.Duration) Way {
	return Way{
		Name: name, FirstWrite: agreed / 2, Agreed: agreed, Cluster: 0xc1,
		Verdict: verify.Verdict{Outcome: verify.Intact, Loss: verify.Loss{Writes: lost, Revisions: lost, Resurrected: resurrected}},
	}
}

func TestTheRecommendedWayLosesLeastThenResurrectsLeastThenIsSoonest(t *testing.T) {
	damaged, closed, failed := wayWith("damaged", 0, 0, 1), wayWith("closed", 0, 0, 1), wayWith("failed", 0, 0, 1)
	damaged.Verdict.Outcome, closed.Closed, failed.Failure = verify.Damaged, "no data", "it broke"
	for name, c := range map[string]struct {
		ways []Way
		want string
	}{
		"fewest lost":        {[]Way{wayWith("a", 3, 0, 1), wayWith("b", 2, 9, 9)}, "b"},
		"fewest resurrected": {[]Way{wayWith("a", 2, 1, 1), wayWith("b", 2, 0, 9)}, "b"},
		"soonest":            {[]Way{wayWith("a", 2, 1, 9), wayWith("b", 2, 1, 8)}, "b"},
		"first of equals":    {[]Way{wayWith("a", 2, 1, 8), wayWith("b", 2, 1, 8)}, "a"},
		"only what is back":  {[]Way{damaged, closed, failed, wayWith("a", 900, 9, 9)}, "a"},
		"nothing":            {[]Way{damaged, closed, failed}, ""},
	} {
		compared := Comparison{Ways: c.ways}
		compared.Recommend()
		if compared.Recommended != c.want || compared.Why == "" {
			t.Errorf("%s: recommended %q, because %q", name, compared.Recommended, compared.Why)
		}
	}
}

func TestAComparisonIsAsGoodAsItsWorstWay(t *testing.T) {
	good, damaged, failed, closed := wayWith("good", 0, 0, 1), wayWith("bad", 0, 0, 1), wayWith("none", 0, 0, 1), wayWith("x", 0, 0, 1)
	damaged.Verdict.Outcome, failed.Verdict, failed.Failure, closed.Closed = verify.Damaged, verify.Verdict{}, "it broke", "no data"
	for name, c := range map[string]struct {
		compared Comparison
		want     verify.Outcome
	}{
		"all intact":       {Comparison{Ways: []Way{good, closed}}, verify.Intact},
		"one damaged":      {Comparison{Ways: []Way{good, failed, damaged}}, verify.Damaged},
		"one failed":       {Comparison{Ways: []Way{failed, good}}, verify.Inconclusive},
		"none open":        {Comparison{Ways: []Way{closed}}, verify.Inconclusive},
		"ended before":     {Comparison{Ways: []Way{good}, Failure: "interrupted"}, verify.Inconclusive},
		"nothing was done": {Comparison{}, verify.Inconclusive},
	} {
		if got := c.compared.Outcome(); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAComparisonShowsWhatEachWayCosts(t *testing.T) {
	kept := wayWith("restart", 0, 0, 400*time.Millisecond)
	none, closed := Way{Name: "seed", Failure: "m2 stayed dead"}, Way{Name: "db", Closed: "no data"}
	kept.Kept = true
	compared := Comparison{Ways: []Way{kept, wayWith("snapshot-before", 676, 96, 1300*time.Millisecond), none, closed}}
	compared.Recommend()
	var text bytes.Buffer
	if err := WriteComparison(&text, compared); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"WAY              VERDICT  LOST        RESURRECTED  FIRST WRITE  ALL AGREE  CLUSTER ID  REVISION",
		"restart          intact   0 writes    0 keys       0.2s         0.4s       kept        goes on",
		"snapshot-before  intact   676 writes  96 keys      0.7s         1.3s       new c1      back by 676",
		"seed             none     not known",
		"failed: seed: m2 stayed dead", "closed: db: no data",
		"recommended: restart: it loses no acknowledged write; the next best, snapshot-before, loses 676 acknowledged writes; " +
			"it keeps the cluster ID",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in:\n%s", want, text.String())
		}
	}
}
