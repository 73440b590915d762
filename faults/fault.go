// Package faults hurts members of a cluster and proves that it did.
//
// A Fault harms nobody until it is injected. Inject returns when the effect was observed, with an Outage: what was hit,
// when, what it cost, and the only handle that can heal it.
package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/etcd-drill/etcd-drill/harness"
)

// Injury is what a fault does to one member. Each lives in a file of its own.
type Injury interface {
	// Name is the word for it on the command line, for example "kill".
	Name() string
	// Hit delivers the injury and does not wait for its effect.
	Hit(ctx context.Context, v Victim) error
	// Took returns when the effect was observed on the victim.
	Took(ctx context.Context, v Victim) error
	// Heal undoes the injury. It returns an error wrapping ErrIrreversible if that cannot be done. Healing a healthy member is
	// no error.
	Heal(ctx context.Context, v Victim) error
}

// Victim is a member that was chosen to be hurt.
type Victim struct {
	*harness.Member
	// BeforeErase, if set, is called with the stopped member right before its data is destroyed.
	BeforeErase func(ctx context.Context, m *harness.Member) error
}

var (
	// ErrIrreversible marks an outage that destroyed data: nothing but a restore helps.
	ErrIrreversible = errors.New("the outage cannot be healed")
	// ErrNoVictim marks a target that selects nobody in a cluster of this size.
	ErrNoVictim = errors.New("the fault would hit nobody")
	// ErrTooMany marks a target that asks for more members than there are.
	ErrTooMany = errors.New("the fault would hit more members than there are")
)

// Fault is an injury together with whom it hits.
type Fault struct {
	injury Injury
	target Target
}

// New returns a fault from an injury of your own.
func New(injury Injury, target Target) Fault { return Fault{injury: injury, target: target} }

// Name returns the injury's name.
func (f Fault) Name() string { return f.injury.Name() }

// Target returns whom the fault hits.
func (f Fault) Target() Target { return f.target }

// Parse returns the fault of this name. An unknown name is an error that lists the known ones.
func Parse(name string, target Target) (Fault, error) {
	known := builtin()
	injury, ok := known[name]
	if !ok {
		return Fault{}, fmt.Errorf("unknown fault %q: choose one of %s", name, strings.Join(Names(), ", "))
	}
	return New(injury, target), nil
}

// Names lists the built-in faults.
func Names() []string { return slices.Sorted(maps.Keys(builtin())) }

func builtin() map[string]Injury {
	known := map[string]Injury{}
	for _, injury := range []Injury{killing{}, stopping{}, pausing{}, wiping{}} {
		known[injury.Name()] = injury
	}
	return known
}

// Scene is what a fault is injected into.
type Scene struct {
	Cluster *harness.Cluster
	// Pick chooses the victims; seed it to choose the same ones again.
	Pick *rand.Rand
	// Window is how long a loss of quorum must last to count as proved; DefaultWindow if zero.
	Window time.Duration
	// BeforeErase is handed to every Victim.
	BeforeErase func(ctx context.Context, m *harness.Member) error
	// Signalled, if set, is called right before the first victim is hit.
	Signalled func(at time.Time, victims []string)
}

// Inject hits the victims in parallel, waits until the effect was observed on each, and then observes what is left of the
// quorum: Outage.Proof. An outage that did not cost the quorum is no error; judging it is the caller's part.
//
// If the injury fails half-way, what was hit is healed where that is possible, and the error says so. If the context ended,
// the injury is taken back and nobody waits until the cluster is well again: whoever interrupts wants to go.
func (f Fault) Inject(ctx context.Context, scene Scene) (*Outage, error) {
	members, err := f.target.choose(ctx, scene.Cluster, scene.Pick)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f.Name(), err)
	}
	outage := newOutage(f, scene, members)
	ports, err := endpoints(ctx, scene.Cluster)
	if err != nil {
		return nil, fmt.Errorf("inject %s: %w", f.Name(), err)
	}
	outage.SignalAt = time.Now()
	if scene.Signalled != nil {
		scene.Signalled(outage.SignalAt, outage.Victims)
	}
	if err := outage.strike(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("inject %s: %w", f.Name(), err), outage.takeBack(ctx))
	}
	outage.EffectAt = time.Now()
	outage.Proof, err = observe(ctx, outage, ports)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("inject %s: observe quorum: %w", f.Name(), err), outage.takeBack(ctx))
	}
	return outage, nil
}

func (o *Outage) strike(ctx context.Context) error {
	work, ctx := errgroup.WithContext(ctx)
	for _, v := range o.victims {
		work.Go(func() error {
			if err := o.injury.Hit(ctx, v); err != nil {
				return err
			}
			return o.injury.Took(ctx, v)
		})
	}
	return work.Wait()
}

// endpoints returns every member's client URL while all still run: a dead member has no address to ask for.
func endpoints(ctx context.Context, cluster *harness.Cluster) (map[string]string, error) {
	urls := map[string]string{}
	for _, m := range cluster.Members() {
		endpoint, err := m.Endpoint(ctx)
		if err != nil {
			return nil, err
		}
		urls[m.Name()] = endpoint.Client
	}
	return urls, nil
}
