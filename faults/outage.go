package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
)

// Outage is a fault that was injected: what it hit, and what was seen of its effect. It is the only handle that can heal it.
type Outage struct {
	Fault     string    `json:"fault"`
	Target    Target    `json:"target"`
	Victims   []string  `json:"victims"`
	Survivors []string  `json:"survivors"`
	SignalAt  time.Time `json:"signalAt"` // right before the first victim was hit
	EffectAt  time.Time `json:"effectAt"` // the effect was observed on the last victim
	Proof     Proof     `json:"proof"`

	injury  Injury
	cluster *harness.Cluster
	victims []Victim
	window  time.Duration
	healing sync.Mutex
	healed  bool
}

// healWithin caps a healing: it runs on a context that no cancellation reaches.
const healWithin = time.Minute

// takeBackWithin caps what is done for a caller that has gone.
const takeBackWithin = 10 * time.Second

func newOutage(f Fault, scene Scene, members []*harness.Member) *Outage {
	o := &Outage{Fault: f.Name(), Target: f.Target(), injury: f.injury, cluster: scene.Cluster, window: scene.Window}
	if o.window <= 0 {
		o.window = DefaultWindow
	}
	for _, m := range members {
		o.victims = append(o.victims, Victim{Member: m, BeforeErase: scene.BeforeErase})
		o.Victims = append(o.Victims, m.Name())
	}
	for _, m := range scene.Cluster.Members() {
		if !slices.Contains(o.Victims, m.Name()) {
			o.Survivors = append(o.Survivors, m.Name())
		}
	}
	return o
}

// LostQuorum tells whether the loss of quorum was proved.
func (o *Outage) LostQuorum() bool { return o.Proof.Lost }

// Destroyed tells whether the victims' data is gone.
func (o *Outage) Destroyed() bool { return o.Fault == NameWipe || o.Fault == NameUnlink }

// Heal undoes the fault on every victim and returns when every member of the cluster answers linearizable reads again. It
// is idempotent, safe for concurrent use, and goes on after the context was cancelled, for a minute at most. It fails with
// ErrIrreversible where data was destroyed. A nil outage is no error.
func (o *Outage) Heal(ctx context.Context) error {
	if o == nil {
		return nil
	}
	o.healing.Lock()
	defer o.healing.Unlock()
	if o.healed {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healWithin)
	defer cancel()
	if err := o.undo(ctx); err != nil {
		return err
	}
	if err := o.cluster.AwaitReady(ctx, healWithin); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	o.healed = true
	return nil
}

// takeBack heals what an injury did that was not completed. On a context that has ended it does not await the cluster: a
// victim may have died of a signal whose delivery nobody saw, and then it would not come back.
func (o *Outage) takeBack(ctx context.Context) error {
	if ctx.Err() == nil {
		return o.Heal(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackWithin)
	defer cancel()
	return o.undo(ctx)
}

// undo heals every victim and waits for nothing.
func (o *Outage) undo(ctx context.Context) error {
	var failures []error
	for _, v := range o.victims {
		if err := o.injury.Heal(ctx, v); err != nil {
			failures = append(failures, fmt.Errorf("heal %s: %w", v.Name(), err))
		}
	}
	return errors.Join(failures...)
}
