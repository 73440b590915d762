package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// Target says whom a fault hits: one of the constants below, or a number of members.
type Target string

const (
	// Quorum is the fewest members whose loss costs the quorum: (N-1)/2 + 1.
	Quorum Target = "quorum"
	// Tolerable is the most members that can be lost while the quorum stays: (N-1)/2.
	Tolerable Target = "tolerable"
	// All is every member.
	All Target = "all"
	// Leader is the one member that leads when the fault is injected.
	Leader Target = "leader"
)

// Count targets n members.
func Count(n int) Target { return Target(strconv.Itoa(n)) }

// ParseTarget reads a target as the command line writes it.
func ParseTarget(text string) (Target, error) {
	switch t := Target(text); t {
	case Quorum, Tolerable, All, Leader:
		return t, nil
	}
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return Count(n), nil
	}
	return "", fmt.Errorf("unknown target %q: choose quorum, tolerable, all, leader or a number of members", text)
}

// Size returns how many of n members the target hits. It fails with ErrNoVictim or ErrTooMany.
func (t Target) Size(n int) (int, error) {
	size := 1
	switch t {
	case Quorum:
		size = harness.TolerableLoss(n) + 1
	case Tolerable:
		size = harness.TolerableLoss(n)
	case All:
		size = n
	case Leader:
	default:
		var err error
		if size, err = strconv.Atoi(string(t)); err != nil {
			return 0, fmt.Errorf("unknown target %q", t)
		}
	}
	if size <= 0 {
		return 0, fmt.Errorf("%w: %s of %d members is none", ErrNoVictim, t, n)
	}
	if size > n {
		return 0, fmt.Errorf("%w: %d of %d", ErrTooMany, size, n)
	}
	return size, nil
}

// CostsQuorum tells whether losing this target costs a cluster of n members its quorum.
func (t Target) CostsQuorum(n int) bool {
	size, err := t.Size(n)
	return err == nil && size > harness.TolerableLoss(n)
}

// Choose names the victims among these members, in the order of the members. The leader cannot be chosen by name: it is
// known only when the fault strikes.
func (t Target) Choose(names []string, pick *rand.Rand) ([]string, error) {
	size, err := t.Size(len(names))
	if err != nil {
		return nil, err
	}
	shuffled := slices.Clone(names)
	pick.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return !slices.Contains(shuffled[:size], name)
	}), nil
}

func (t Target) choose(ctx context.Context, cluster *harness.Cluster, pick *rand.Rand) ([]*harness.Member, error) {
	if t == Leader {
		leader, err := findLeader(ctx, cluster)
		return []*harness.Member{leader}, err
	}
	names, err := t.Choose(cluster.Layout().Names(), pick)
	if err != nil {
		return nil, err
	}
	members := make([]*harness.Member, 0, len(names))
	for _, name := range names {
		m, err := cluster.Member(name)
		if err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

func findLeader(ctx context.Context, cluster *harness.Cluster) (leader *harness.Member, err error) {
	err = await.Until(ctx, await.Condition{Name: "a leader", Within: 10 * time.Second}, func(ctx context.Context) error {
		for _, m := range cluster.Members() {
			health, err := healthOf(ctx, m)
			if err != nil {
				return err
			}
			if health.Leader == m.ID() {
				leader = m
				return nil
			}
		}
		return fmt.Errorf("no member calls itself leader")
	})
	return leader, err
}

func healthOf(ctx context.Context, m *harness.Member) (harness.Health, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	probe, err := m.Probe(ctx)
	if err != nil {
		return harness.Health{}, err
	}
	defer probe.Close()
	return probe.Health(ctx)
}
