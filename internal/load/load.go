// Package load speaks etcd: it makes writes while a ledger notes each of them and what came of it, and it reads a keyspace
// back from one member.
//
// It does not judge. It must not know why a member is gone or whether a write may be lost; it writes down what it asked for
// and what it was told.
package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// Target is a member that takes writes; *harness.Member is one. Endpoint is asked again whenever a call went wrong, because
// the address changes when a member is started anew. It must return when its context ends.
type Target interface {
	Name() string
	Endpoint(ctx context.Context) (harness.Endpoint, error)
}

// Ledger is where the load notes its writes; *ledger.Writer is one. It is safe for concurrent use.
type Ledger interface {
	Append(entry ledger.Entry) error
	Flush() error
	End() error
}

// Profile names a mixture of writes.
type Profile string

// The profiles.
const (
	// Mixed makes puts, overwrites, deletes, transactions over several keys, leases and puts attached to them.
	Mixed Profile = "mixed"
	// Puts only puts keys that were never put before: every acknowledged write is one key and one revision. It is the profile
	// for measuring.
	Puts Profile = "puts"
)

// Options says which load to make. Targets and Ledger are needed; all else has a default.
type Options struct {
	Targets []Target
	// Access says whose answers are taken: a write that another cluster acknowledged is an unknown one. Of any cluster if zero.
	Access  harness.Access
	Ledger  Ledger
	Profile Profile // Mixed if empty
	// Keys is the size of the fill: Filled closes when so many acknowledged writes own a revision. Under Puts that is the
	// number of distinct keys. The load goes on after it.
	Keys int
	// Rate bounds the writes per second, of all workers together, after the fill; 0 for no bound.
	Rate       int
	ValueBytes int // length of every value, 256 if zero, at least MinValueBytes
	Workers    int // each has one call outstanding at most; 64 if zero
	// Seed fixes what every worker proposes: kinds, keys, values, in order. It does not fix how the workers interleave.
	Seed        uint64
	DigestKey   []byte        // of the values' digests, see ledger.Digest
	CallTimeout time.Duration // for one call; 1 s if zero
	LeaseTTL    time.Duration // of every lease, in whole seconds; 1 h if zero, so that leases outlive the drill
	// DrainGrace is how long Stop lets calls in flight return by themselves before it cuts them off; 250 ms if zero.
	DrainGrace time.Duration
}

// MinValueBytes is the least length of a value: room for its head, which names the worker and the sequence.
const MinValueBytes = 32

// flushEvery is the most that a harness that is killed loses of its ledger.
const flushEvery = 100 * time.Millisecond

// drainLimit is when a worker whose call was cut off counts as stuck. It is reached only if a Target ignores its context.
const drainLimit = 5 * time.Second

// Tally counts the entries of the ledger by outcome.
type Tally struct {
	Acknowledged int64
	Refused      int64
	Unknown      int64
}

// Load is a load that runs. Its methods are safe for concurrent use.
type Load struct {
	options Options

	acknowledged, refused, unknown, owned atomic.Int64
	filled                                chan struct{}

	endCalls  context.CancelFunc // cuts off the calls in flight
	endBegins context.CancelFunc // lets no further call begin
	drained   chan struct{}      // closed when every worker has returned

	failOnce sync.Once
	failure  error // read after drained was closed
	stopOnce sync.Once
	stopErr  error
}

// Start starts the workers and returns at once; it needs no member to answer. The load runs until Stop, or until ctx ends.
// Either way the caller must call Stop, which ends the ledger.
func Start(ctx context.Context, options Options) (*Load, error) {
	options = options.withDefaults()
	if err := options.check(); err != nil {
		return nil, fmt.Errorf("start load: %w", err)
	}
	l := &Load{options: options, filled: make(chan struct{}), drained: make(chan struct{})}
	if options.Keys == 0 {
		close(l.filled)
	}
	calls, endCalls := context.WithCancel(ctx)
	begins, endBegins := context.WithCancel(calls)
	l.endCalls, l.endBegins = endCalls, endBegins

	addresses := make([]*address, 0, len(options.Targets))
	for _, target := range options.Targets {
		addresses = append(addresses, &address{target: target})
	}
	var running sync.WaitGroup
	var all []*trunk
	for index := range options.Workers {
		if index%workersPerTrunk == 0 {
			for _, a := range addresses {
				all = append(all, &trunk{address: a, access: options.Access})
			}
		}
		mine := all[len(all)-len(addresses):]
		running.Go(func() { newWorker(l, index, mine).run(begins, calls) })
	}
	running.Go(func() { l.flush(begins) })
	go func() {
		running.Wait()
		for _, t := range all {
			t.hangUp()
		}
		close(l.drained)
	}()
	return l, nil
}

// Filled is closed when Options.Keys acknowledged writes own a revision. It stays open if the load ends before; a caller
// that must not hang uses AwaitFilled.
func (l *Load) Filled() <-chan struct{} { return l.filled }

// AwaitFilled returns nil when the fill is complete, and an error if ctx or the load ends before.
func (l *Load) AwaitFilled(ctx context.Context) error {
	var cause error
	select {
	case <-l.filled:
		return nil
	case <-ctx.Done():
		cause = context.Cause(ctx)
	case <-l.drained:
		cause = l.failure
		if cause == nil {
			cause = errors.New("the load has ended")
		}
	}
	t := l.Tally()
	return fmt.Errorf("fill with %d writes: %w; so far %d acknowledged, %d refused, %d unknown",
		l.options.Keys, cause, t.Acknowledged, t.Refused, t.Unknown)
}

// Tally returns the counts up to now. Each count is exact; together they are a snapshot only after Stop.
func (l *Load) Tally() Tally {
	return Tally{Acknowledged: l.acknowledged.Load(), Refused: l.refused.Load(), Unknown: l.unknown.Load()}
}

// Stop ends the load: no worker begins another call, calls in flight get DrainGrace to return and are then cut off, which
// makes them unknown entries, and the ledger is flushed and ended. It is idempotent. If ctx ends, the calls are cut off at once,
// but the workers are still drained. The ledger is left unended if it could not be written or a worker could not be drained:
// it then lacks something, and must not look complete.
func (l *Load) Stop(ctx context.Context) (Tally, error) {
	l.stopOnce.Do(func() { l.stopErr = l.stop(ctx) })
	return l.Tally(), l.stopErr
}

func (l *Load) stop(ctx context.Context) error {
	l.endBegins()
	defer l.endCalls()
	grace := time.NewTimer(l.options.DrainGrace)
	defer grace.Stop()
	select {
	case <-l.drained:
	case <-grace.C:
	case <-ctx.Done():
	}
	l.endCalls()
	limit := time.NewTimer(drainLimit)
	defer limit.Stop()
	select {
	case <-l.drained:
	case <-limit.C:
		return fmt.Errorf("stop load: a worker is still busy %s after its call was cut off; the ledger is not ended", drainLimit)
	}
	if l.failure != nil {
		return fmt.Errorf("stop load: %w", l.failure)
	}
	if err := errors.Join(l.options.Ledger.Flush(), l.options.Ledger.End()); err != nil {
		return fmt.Errorf("stop load: end ledger: %w", err)
	}
	return nil
}

// record notes one entry before the worker may go on, and counts it.
func (l *Load) record(entry ledger.Entry) error {
	if err := l.options.Ledger.Append(entry); err != nil {
		return fmt.Errorf("append to ledger: %w", err)
	}
	switch entry.Outcome {
	case ledger.Acknowledged:
		l.acknowledged.Add(1)
	case ledger.Refused:
		l.refused.Add(1)
	default:
		l.unknown.Add(1)
	}
	if entry.Owns && l.owned.Add(1) == int64(l.options.Keys) {
		close(l.filled)
	}
	return nil
}

// fail keeps the first error and ends the load: writes that nobody notes prove nothing.
func (l *Load) fail(err error) {
	l.failOnce.Do(func() {
		l.failure = err
		l.endBegins()
	})
}

func (l *Load) flush(ctx context.Context) {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := l.options.Ledger.Flush(); err != nil {
				l.fail(fmt.Errorf("flush ledger: %w", err))
			}
		}
	}
}

func (o Options) withDefaults() Options {
	if o.Profile == "" {
		o.Profile = Mixed
	}
	if o.ValueBytes == 0 {
		o.ValueBytes = 256
	}
	if o.Workers == 0 {
		o.Workers = 64
	}
	if o.CallTimeout == 0 {
		o.CallTimeout = time.Second
	}
	if o.LeaseTTL == 0 {
		o.LeaseTTL = time.Hour
	}
	if o.DrainGrace == 0 {
		o.DrainGrace = 250 * time.Millisecond
	}
	return o
}

func (o Options) check() error {
	switch {
	case len(o.Targets) == 0:
		return errors.New("there is no member to write to")
	case o.Ledger == nil:
		return errors.New("there is no ledger to write down what it does")
	case o.Profile != Mixed && o.Profile != Puts:
		return fmt.Errorf("profile %q is neither %q nor %q", o.Profile, Mixed, Puts)
	case o.Keys < 0 || o.Rate < 0 || o.Workers < 0 || o.CallTimeout < 0 || o.DrainGrace < 0:
		return errors.New("keys, rate, workers, call timeout and drain grace must not be negative")
	case o.ValueBytes < MinValueBytes:
		return fmt.Errorf("values of %d bytes have no room for their head of %d", o.ValueBytes, MinValueBytes)
	case o.LeaseTTL < time.Second || o.LeaseTTL%time.Second != 0:
		return fmt.Errorf("a lease of %s is not a whole number of seconds", o.LeaseTTL)
	}
	return nil
}
