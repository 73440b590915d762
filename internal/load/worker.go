package load

import (
	"context"
	"errors"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// worker makes one call after the other. It stays with a member as long as that acknowledges.
type worker struct {
	load   *Load
	index  int
	stream *stream
	digest func(string) string
	lines  []*line
	at     int // the line in use
	pause  time.Duration
	timer  *time.Timer
	last   time.Time // when the last call began
}

// The pauses after a call that was not acknowledged: a dead cluster must not fill the ledger with noise, and a living one
// must not wait long for its load.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// newWorker makes a worker on the trunks of its group, one to each member. A group begins at one member, so that few connections are made.
func newWorker(l *Load, index int, trunks []*trunk) *worker {
	w := &worker{load: l, index: index, stream: newStream(l.options, index), digest: digester(l.options.DigestKey)}
	w.at = (index / workersPerTrunk) % len(trunks)
	for _, t := range trunks {
		w.lines = append(w.lines, &line{trunk: t})
	}
	w.timer = time.NewTimer(0)
	return w
}

// digester is ledger.Digester for texts.
func digester(key []byte) func(string) string {
	digest, scratch := ledger.Digester(key), []byte(nil)
	return func(text string) string {
		scratch = append(scratch[:0], text...)
		return digest(scratch)
	}
}

// run makes calls until begins ends; a call in flight is cut off only by calls.
func (w *worker) run(begins, calls context.Context) {
	defer w.timer.Stop()
	for w.keepRate(begins) {
		// A member that cannot be reached is passed over without a call: what was never sent needs no entry.
		client, err := w.lines[w.at].ready(begins, w.load.options.CallTimeout)
		if err != nil {
			w.moveOn(begins)
			continue
		}
		w.last = time.Now()
		entry := w.call(calls, client, w.stream.next())
		if err := w.load.record(entry); err != nil {
			w.load.fail(err)
			return
		}
		if entry.Outcome == ledger.Acknowledged {
			w.pause = 0
			continue
		}
		w.lines[w.at].suspect()
		w.moveOn(begins)
	}
}

// call makes one write and tells what came of it.
func (w *worker) call(ctx context.Context, client *clientv3.Client, o operation) ledger.Entry {
	ctx, cancel := limit(ctx, w.load.options.CallTimeout)
	defer cancel()
	entry := ledger.Entry{
		Worker: w.index, Seq: o.seq, Op: o.op, Lease: o.lease, TTLSeconds: o.ttl,
		Changes: o.changes(w.digest),
	}
	entry.Call = time.Now().UTC()
	a, err := o.send(ctx, client)
	entry.Return = time.Now().UTC()
	if err != nil {
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		entry.Outcome, entry.Reason = classify(err), err.Error()
		return entry
	}
	entry.Outcome = ledger.Acknowledged
	entry.Revision, entry.Owns = a.header.GetRevision(), a.owns
	entry.Member = identity.MemberID(a.header.GetMemberId())
	entry.Cluster = identity.ClusterID(a.header.GetClusterId())
	for i := range entry.Changes {
		entry.Changes[i].Void = entry.Changes[i].Delete && a.removed[i] == 0
	}
	return entry
}

// limit ends a context after a time, as context.WithTimeout does, but without a deadline, which would go to the member with
// every call and have it keep a timer of its own. The member is told when the call is given up.
func limit(parent context.Context, after time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	timer := time.AfterFunc(after, func() { cancel(context.DeadlineExceeded) })
	return ctx, func() {
		timer.Stop()
		cancel(nil)
	}
}

// keepRate waits for the worker's turn, which is only after the fill a wait. It reports whether a call may begin.
func (w *worker) keepRate(begins context.Context) bool {
	if w.load.options.Rate > 0 {
		select {
		case <-w.load.filled:
			interval := time.Duration(w.load.options.Workers) * time.Second / time.Duration(w.load.options.Rate)
			w.wait(begins, time.Until(w.last.Add(interval)))
		default:
		}
	}
	return begins.Err() == nil
}

// moveOn turns to the next member after a pause.
func (w *worker) moveOn(begins context.Context) {
	w.at = (w.at + 1) % len(w.lines)
	w.pause = min(max(2*w.pause, firstPause), lastPause)
	w.wait(begins, w.pause)
}

func (w *worker) wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	w.timer.Reset(d)
	select {
	case <-ctx.Done():
	case <-w.timer.C:
	}
}
