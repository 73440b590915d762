package recovery

import (
	"errors"
	"fmt"
	"slices"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// Why a route is closed.
var (
	// ErrNoQuorum means that the membership cannot be changed, because too many members are lost to agree on it.
	ErrNoQuorum = errors.New("no quorum")
	// ErrNoSurvivor means that nobody is left to go on from.
	ErrNoSurvivor = errors.New("no survivor")
)

// NewSeedPlan plans to restore the first member of the new layout alone, under a token that was never used before, and to add
// the others to it. It refuses what NewPlan refuses, and touches nothing.
func NewSeedPlan(src Source, old harness.Layout, token identity.Token, opts ...PlanOption) (Plan, error) {
	options := planOptionsOf(old, opts)
	if len(options.seats) == 0 {
		return Plan{}, fmt.Errorf("plan restore: %w: no members", ErrBadLayout)
	}
	all := harness.Layout{Token: token, Seats: options.seats}
	if err := checkLayout(all); err != nil {
		return Plan{}, fmt.Errorf("plan restore: %w", err)
	}
	plan, err := NewPlan(src, old, token, append(slices.Clone(opts), WithSeats(options.seats[0]))...)
	if err != nil {
		return Plan{}, err
	}
	plan.Route, plan.Joining = RouteSeed, options.seats[1:]
	seed := options.seats[0].Name
	w := &writer{layout: all, places: options.places, dirs: options.dataDir}
	w.add(Step{Do: DoRestore, Member: seed, Command: plan.restoreCommands()[0]})
	w.start(DoStart, seed, []string{seed})
	w.await(seed)
	w.dirs = nil // the others begin with nothing
	for i, seat := range plan.Joining {
		w.join(seat.Name, seed, namesOf(options.seats[:i+1]))
	}
	plan.Steps = w.steps
	return plan, w.err
}

// NewForcePlan plans to start this member of the old cluster with --force-new-cluster on the data that it has, to start it
// again without, and to add the others anew with empty directories. The cluster ID stays. It touches nothing.
func NewForcePlan(old harness.Layout, survivor string, opts ...PlanOption) (Plan, error) {
	options := planOptionsOf(old, opts)
	others := slices.DeleteFunc(old.Names(), func(name string) bool { return name == survivor })
	if len(others) == len(old.Seats) {
		return Plan{}, fmt.Errorf("plan %s: %w: %q is no member of the old cluster", RouteForce, ErrNoSurvivor, survivor)
	}
	plan := keepingPlan(RouteForce, old, []string{survivor})
	w := &writer{layout: old, places: options.places}
	w.start(DoForce, survivor, []string{survivor}, "--force-new-cluster")
	w.await(survivor)
	w.stop(survivor)
	w.start(DoStart, survivor, []string{survivor})
	w.await(survivor)
	joined := []string{survivor}
	for _, name := range others {
		w.erase(name)
		w.join(name, survivor, joined)
		joined = append(joined, name)
	}
	plan.Steps = w.steps
	return plan, w.err
}

// NewReplacePlan plans to remove the lost members from the living cluster and to add others in their place, on the same peer
// URLs and with empty directories, one after the other. It returns an error wrapping ErrNoQuorum where too many are lost. It
// touches nothing.
func NewReplacePlan(old harness.Layout, lost []string, opts ...PlanOption) (Plan, error) {
	options := planOptionsOf(old, opts)
	living := slices.DeleteFunc(old.Names(), func(name string) bool { return slices.Contains(lost, name) })
	if len(living) < harness.QuorumOf(len(old.Seats)) {
		return Plan{}, fmt.Errorf("plan %s: %w: %d of %d members are lost, and the others cannot agree to remove one; use %s or %s",
			RouteReplace, ErrNoQuorum, len(lost), len(old.Seats), RouteRestore, RouteForce)
	}
	plan := keepingPlan(RouteReplace, old, living)
	w := &writer{layout: old, places: options.places}
	members := old.Names()
	for _, name := range lost {
		w.remove(name, living[0], old.MemberID(w.seat(name)))
		w.erase(name)
		members = slices.DeleteFunc(members, func(other string) bool { return other == name })
		w.join(name, living[0], members)
		members = append(members, name)
	}
	plan.Steps = w.steps
	return plan, w.err
}

// NewRestartPlan plans to start the members that are down again on the data that they have, beside those that still run. It
// returns an error wrapping ErrNoQuorum where both are fewer than a quorum. It touches nothing.
func NewRestartPlan(old harness.Layout, down, running []string, opts ...PlanOption) (Plan, error) {
	options := planOptionsOf(old, opts)
	there := append(slices.Clone(running), down...)
	if len(there) < harness.QuorumOf(len(old.Seats)) {
		return Plan{}, fmt.Errorf("plan %s: %w: %d of %d members have their data; use %s or %s",
			RouteRestart, ErrNoQuorum, len(there), len(old.Seats), RouteRestore, RouteForce)
	}
	plan := keepingPlan(RouteRestart, old, there)
	w := &writer{layout: old, places: options.places}
	for _, name := range down {
		w.start(DoStart, name, old.Names())
	}
	for _, name := range down {
		w.await(name)
	}
	plan.Steps = w.steps
	return plan, w.err
}

// keepingPlan is the frame of a plan that keeps the cluster and these members of it; the others join.
func keepingPlan(route Route, old harness.Layout, kept []string) Plan {
	plan := Plan{Route: route, ClusterID: old.ClusterID(), Layout: harness.Layout{Token: old.Token}}
	for _, seat := range old.Seats {
		if !slices.Contains(kept, seat.Name) {
			if route != RouteRestart {
				plan.Joining = append(plan.Joining, seat)
			}
			continue
		}
		plan.Layout.Seats = append(plan.Layout.Seats, seat)
		plan.Members = append(plan.Members, MemberPlan{
			Name: seat.Name, PeerURL: seat.PeerURL, InitialCluster: old.InitialCluster(), MemberID: old.MemberID(seat),
		})
	}
	return plan
}

func namesOf(seats []harness.Seat) []string { return harness.Layout{Seats: seats}.Names() }
