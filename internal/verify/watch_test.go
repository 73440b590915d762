package verify

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// deafWatch has seen revision 9 of the lost cluster, and missed what the new one did up to there.
func deafWatch() Watch {
	return Watch{
		Name: "watcher on m1", Last: 9, Made: 8, Until: 12, Heard: 3, FirstHeard: 10, Clusters: []identity.ClusterID{1, 2},
	}
}

func cancelledWatch() Watch {
	return Watch{Name: "watcher on m1", Last: 9, Made: 3, Until: 1007, Clusters: []identity.ClusterID{1}, Cancelled: 1004}
}

// watched judges a small drill with one client that watched.
func watched(t *testing.T, bump bool, seen Watch) Verdict {
	t.Helper()
	s, history, keyspace := small()
	s.holds(history, keyspace)
	w := s.world
	if bump {
		w = bumped(50)
	}
	w.ev.Watches = []Watch{seen}
	return judged(t, w)
}

func watchClaimOf(v Verdict) Claim {
	return v.Claims[slices.IndexFunc(v.Claims, func(c Claim) bool { return c.Name == claimWatch })]
}

func TestADeafWatchIsAHazardAndNoDamage(t *testing.T) {
	v := watched(t, false, deafWatch())
	if v.Outcome != Intact || len(v.Hazards) != 1 || v.FindingCount != 0 {
		t.Fatalf("%s, hazards %+v, findings %+v", v.Outcome, v.Hazards, v.Findings)
	}
	if h := v.Hazards[0]; h.Kind != Hazard || !strings.Contains(h.Text, "not of 5 of 8 changes: it went on at revision 10") {
		t.Errorf("%+v", h)
	}
	if c := watchClaimOf(v); c.State != Proved || !strings.Contains(c.Text, "1 are deaf: told of no error, and not of up to 5 changes") {
		t.Errorf("%+v", c)
	}
	informer := deafWatch()
	informer.Caches, informer.Differences, informer.DifferingKeys = true, 2, []ledger.Key{"a", "b"}
	v = watched(t, false, informer)
	differs := `differs from the store in 2 keys, such as "a" "b"`
	if v.Outcome != Intact || len(v.Hazards) != 1 || !strings.Contains(v.Hazards[0].Text, differs) {
		t.Errorf("%s, hazards %+v", v.Outcome, v.Hazards)
	}
}

func TestWatchesThatAreNoHazard(t *testing.T) {
	for name, c := range map[string]struct {
		bump   bool
		change func(w *Watch)
	}{
		"cancelled by a bump":     {true, func(w *Watch) { *w = cancelledWatch() }},
		"listed again":            {true, func(w *Watch) { *w = cancelledWatch(); w.Caches, w.Heard, w.FirstHeard = true, 2, 1006 }},
		"told of everything":      {false, func(w *Watch) { w.Heard, w.FirstHeard, w.Last = 8, 5, 4 }},
		"cancelled without bump":  {false, func(w *Watch) { w.Heard, w.FirstHeard, w.Cancelled = 0, 0, 6 }},
		"told and with its cache": {false, func(w *Watch) { w.Heard, w.FirstHeard, w.Last, w.Caches = 8, 5, 4, true }},
	} {
		t.Run(name, func(t *testing.T) {
			w := deafWatch()
			c.change(&w)
			v := watched(t, c.bump, w)
			if v.Outcome != Intact || len(v.Hazards) != 0 || watchClaimOf(v).State != Proved {
				t.Errorf("%s, hazards %+v, findings %+v, claim %+v", v.Outcome, v.Hazards, v.Findings, watchClaimOf(v))
			}
		})
	}
}

func TestWatchesThatDisprove(t *testing.T) {
	for name, c := range map[string]struct {
		bump   bool
		change func(w *Watch)
		want   want
	}{
		"deaf in spite of a bump": {true, func(*Watch) {}, want{Damaged, Deaf, "", "", 9}},
		"told of everything in spite of a bump": {true, func(w *Watch) { w.Heard, w.FirstHeard = 8, 5 },
			want{Damaged, Deaf, "", "", 9}},
		"told of some and not of others": {false, func(w *Watch) { w.FirstHeard, w.Heard = 5, 7 }, want{Damaged, Missing, "", "", 5}},
		"listed again, and still another": {true, func(w *Watch) {
			*w = cancelledWatch()
			w.Caches, w.Differences, w.DifferingKeys = true, 1, []ledger.Key{"a"}
		}, want{Damaged, Changed, "", "", 0}},
		"neither told nor cancelled": {false, func(w *Watch) { w.Failure = "no connection" }, want{Inconclusive, NoEvidence, "", "", 0}},
		"nothing to be told of":      {false, func(w *Watch) { w.Made, w.Heard = 0, 0 }, want{Inconclusive, TooLittle, "", "", 0}},
	} {
		t.Run(name, func(t *testing.T) {
			w := deafWatch()
			c.change(&w)
			v := watched(t, c.bump, w)
			mustFind(t, v, c.want)
			if len(v.Hazards) != 0 || watchClaimOf(v).State == Proved {
				t.Errorf("hazards %+v, claim %+v", v.Hazards, watchClaimOf(v))
			}
		})
	}
}
