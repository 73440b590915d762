package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// DefaultWindow is how long a loss of quorum must last to count as proved. The loss of a leader alone makes linearizable
// reads fail for up to an election, about 1.5 s with etcd's defaults; a shorter window would prove nothing.
const DefaultWindow = 3 * time.Second

const (
	readWithin   = time.Second           // the deadline of one linearizable read
	glanceWithin = 50 * time.Millisecond // the same while a leader is still known, so that its loss is seen soon
	proveWithin  = 30 * time.Second      // how long an outage may stay neither proved nor disproved
)

// Proof is what was observed of the quorum after a fault took effect.
type Proof struct {
	// Lost is set if every survivor, for the whole window, reported no leader, left linearizable reads unanswered and answered
	// serializable ones; or, without survivors, if every victim's exit was seen and nothing answers at any client port.
	Lost bool `json:"lost"`
	// Since is when the last survivor was first seen without a leader; At is when the observation ended.
	Since time.Time `json:"since"`
	At    time.Time `json:"at"`
	// Reads counts the linearizable reads that went unanswered.
	Reads int `json:"reads"`
	// Reason says what speaks against a loss of quorum; empty if it was proved.
	Reason string `json:"reason,omitempty"`
}

// Observed returns how long the loss was watched; 0 if it was not proved.
func (p Proof) Observed() time.Duration {
	if !p.Lost {
		return 0
	}
	return p.At.Sub(p.Since)
}

// keptError ends the observation of a quorum that still works.
type keptError struct{ reason string }

func (e keptError) Error() string { return e.reason }

// observe finds out whether the outage cost the quorum. Neither answer is an error; not finding out is.
func observe(ctx context.Context, o *Outage, urls map[string]string) (Proof, error) {
	var (
		proof Proof
		err   error
	)
	if len(o.Survivors) == 0 {
		proof, err = observeSilence(ctx, o, urls)
	} else {
		proof, err = observeSurvivors(ctx, o)
	}
	proof.At = time.Now()
	var kept keptError
	if errors.As(err, &kept) {
		return Proof{At: proof.At, Reason: kept.reason}, nil
	}
	if err != nil {
		return Proof{}, err
	}
	proof.Lost = true
	return proof, nil
}

func observeSurvivors(ctx context.Context, o *Outage) (Proof, error) {
	witnesses := make([]witness, len(o.Survivors))
	work, ctx := errgroup.WithContext(ctx)
	for i, name := range o.Survivors {
		work.Go(func() error {
			m, err := o.cluster.Member(name)
			if err != nil {
				return err
			}
			witnesses[i], err = watchSurvivor(ctx, m, o.window)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return Proof{}, err
	}
	var proof Proof
	for _, w := range witnesses {
		proof.Reads += w.reads
		if w.since.After(proof.Since) {
			proof.Since = w.since
		}
	}
	return proof, nil
}

// witness is what one survivor showed during its window.
type witness struct {
	since time.Time
	reads int
}

// watchSurvivor returns when the survivor was without a quorum for the whole window. One linearizable read that it answers
// ends the matter: it was asked after the fault had taken effect. So it is asked for one while it still follows a leader,
// too: a leader that was not hit is followed for ever.
func watchSurvivor(ctx context.Context, m *harness.Member, window time.Duration) (w witness, err error) {
	probe, err := m.Probe(ctx)
	if err != nil {
		return w, err
	}
	defer probe.Close()
	struck := time.Now()
	err = await.Until(ctx, await.Condition{Name: m.Name() + " without quorum", Every: time.Millisecond, Within: proveWithin},
		func(ctx context.Context) error {
			led := aliveWithoutLeader(ctx, probe)
			patience := readWithin
			if led != nil {
				patience = glanceWithin
			}
			if w.since.IsZero() {
				w.since = time.Now()
			}
			asked, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			if _, err := probe.Read(asked, harness.Linearizable); err == nil {
				return await.Hopeless(keptError{fmt.Sprintf("%s answered a linearizable read %s after the fault took effect",
					m.Name(), time.Since(struck).Round(time.Millisecond))})
			}
			if led != nil {
				w = witness{}
				return led
			}
			w.reads++
			if watched := time.Since(w.since); watched < window {
				return fmt.Errorf("no leader for %s so far", watched.Round(time.Millisecond))
			}
			return aliveWithoutLeader(ctx, probe)
		})
	return w, err
}

// aliveWithoutLeader returns nil if the member is up and knows no leader: it answers a serializable read and reports 0.
func aliveWithoutLeader(ctx context.Context, probe *harness.Probe) error {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	if _, err := probe.Read(ctx, harness.Serializable); err != nil {
		return fmt.Errorf("a serializable read fails: %w", err)
	}
	health, err := probe.Health(ctx)
	if err != nil {
		return err
	}
	if health.Leader != 0 {
		return fmt.Errorf("it still follows leader %s", health.Leader)
	}
	return nil
}

// observeSilence checks that nothing answers at any client address. Exits were seen by the injury; a frozen member accepts
// connections, so it is asked instead, for the whole window.
func observeSilence(ctx context.Context, o *Outage, urls map[string]string) (Proof, error) {
	proof := Proof{Since: time.Now()}
	if o.Fault == (pausing{}).Name() {
		return proof, observeFrozen(ctx, o)
	}
	work, ctx := errgroup.WithContext(ctx)
	for _, name := range o.Victims {
		work.Go(func() error { return refuses(ctx, name, urls[name]) })
	}
	return proof, work.Wait()
}

func observeFrozen(ctx context.Context, o *Outage) error {
	work, ctx := errgroup.WithContext(ctx)
	for _, v := range o.victims {
		work.Go(func() error {
			err := silentFor(ctx, v.Member, o.window)
			if errors.Is(err, errAnswered) {
				return keptError{err.Error()}
			}
			return err
		})
	}
	return work.Wait()
}

func refuses(ctx context.Context, name, clientURL string) error {
	parsed, err := url.Parse(clientURL)
	if err != nil {
		return fmt.Errorf("read address of %s: %w", name, err)
	}
	dialer := net.Dialer{Timeout: readWithin}
	conn, err := dialer.DialContext(ctx, "tcp", parsed.Host)
	if err != nil {
		return ctx.Err() // refused or nobody there: what was expected
	}
	return errors.Join(keptError{fmt.Sprintf("something still accepts connections at the client port of %s", name)}, conn.Close())
}
