package recovery

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

func routePlans(t *testing.T) map[Route]Plan {
	t.Helper()
	old := oldLayout()
	plans := map[Route]Plan{}
	for route, plan := range map[Route]func() (Plan, error){
		RouteSeed: func() (Plan, error) {
			return NewSeedPlan(goodSource(DBCopy, "/backup/m3's db"), old, "drill-0123456789abcdef",
				WithDataDir(func(m string) string { return m + "-restored.etcd" }))
		},
		RouteForce:   func() (Plan, error) { return NewForcePlan(old, "m2") },
		RouteReplace: func() (Plan, error) { return NewReplacePlan(old, []string{"m1"}) },
		RouteRestart: func() (Plan, error) { return NewRestartPlan(old, []string{"m1", "m3"}, []string{"m2"}) },
	} {
		made, err := plan()
		if err != nil {
			t.Fatal(err)
		}
		plans[route] = made
	}
	return plans
}

func TestRoutesAreWhatAPersonWouldType(t *testing.T) {
	for route, plan := range routePlans(t) {
		t.Run(string(route), func(t *testing.T) {
			got := "# " + route.Text() + "\n# loses " + route.Loses() + "\n" + strings.Join(plan.Commands(), "\n") + "\n"
			golden := filepath.Join("testdata", "commands-"+string(route)+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(recoverytest.ReadAll(t, golden)); got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

func TestRoutesSayWhichClusterTheyLeadTo(t *testing.T) {
	old := oldLayout()
	for route, plan := range routePlans(t) {
		if plan.Route != route || !route.Known() {
			t.Errorf("%s: the plan names %q", route, plan.Route)
		}
		if keeps := plan.ClusterID == old.ClusterID(); keeps != route.KeepsCluster() {
			t.Errorf("%s: the plan leads to cluster %s, old is %s", route, plan.ClusterID, old.ClusterID())
		}
		known := len(plan.Members) + len(plan.Joining)
		if known != len(old.Seats) {
			t.Errorf("%s: %d members of %d", route, known, len(old.Seats))
		}
	}
	seed := routePlans(t)[RouteSeed]
	alone := harness.Layout{Token: "drill-0123456789abcdef", Seats: old.Seats[:1]}
	if seed.ClusterID != alone.ClusterID() || seed.ClusterID == (harness.Layout{Token: alone.Token, Seats: old.Seats}).ClusterID() {
		t.Errorf("the seed is a cluster of its own, %s", seed.ClusterID)
	}
}

func TestRoutesThatAreClosed(t *testing.T) {
	old := oldLayout()
	for name, c := range map[string]struct {
		plan func() (Plan, error)
		want error
		says string
	}{
		"force a stranger": {func() (Plan, error) { return NewForcePlan(old, "m9") }, ErrNoSurvivor, "m9"},
		"replace a majority": {
			func() (Plan, error) { return NewReplacePlan(old, []string{"m1", "m3"}) }, ErrNoQuorum, "use restore or force-new-cluster",
		},
		"replace a stranger": {func() (Plan, error) { return NewReplacePlan(old, []string{"m9"}) }, ErrBadLayout, "m9"},
		"restart a minority": {func() (Plan, error) { return NewRestartPlan(old, []string{"m2"}, nil) }, ErrNoQuorum, "1 of 3"},
		"seed the old token": {
			func() (Plan, error) { return NewSeedPlan(goodSource(DBCopy, "/x"), old, old.Token) }, ErrTokenReused, "etcd-cluster",
		},
		"seed without source": {func() (Plan, error) { return NewSeedPlan(Source{}, old, "t") }, ErrNoSource, "Check"},
		"seed nobody":         {func() (Plan, error) { return NewSeedPlan(goodSource(DBCopy, "/x"), old, "t", WithSeats()) }, ErrBadLayout, ""},
		"seed with a later name twice": {
			func() (Plan, error) {
				return NewSeedPlan(goodSource(DBCopy, "/x"), old, "t", WithSeats(old.Seats[0], old.Seats[1], old.Seats[1]))
			}, ErrBadLayout, "twice",
		},
	} {
		if plan, err := c.plan(); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %+v, %v", name, plan, err)
		}
	}
}

func TestEveryRouteSaysWhatItDoesAndCosts(t *testing.T) {
	seen := map[string]Route{}
	for _, route := range Routes() {
		if route.Text() == "" || route.Loses() == "" {
			t.Errorf("%s says nothing", route)
		}
		if other, taken := seen[route.Text()]; taken {
			t.Errorf("%s and %s say the same", route, other)
		}
		seen[route.Text()] = route
	}
	if Route("tape").Known() || !slices.Contains(Routes(), RouteForce) {
		t.Error("known routes are not those that are listed")
	}
	if RouteForce.NeedsSource() || !RouteSeed.NeedsSource() || !RouteReplace.LosesNothing() || RouteForce.LosesNothing() {
		t.Error("the rules of the routes are mixed up")
	}
}
