package load

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// TestACallIsGivenUpInTime writes to a member that answers nobody: the call ends by itself, with the word for it, or when it is cut
// off.
func TestACallIsGivenUpInTime(t *testing.T) {
	m := startMember(t)
	client := m.dial(t)
	_, err := client.Put(testContext(t), "k", "v")
	check(t, err)
	m.signal(t, syscall.SIGSTOP)
	l := &Load{options: Options{CallTimeout: 300 * time.Millisecond}}
	w := &worker{load: l, digest: digester(digestKey())}
	put := operation{seq: 1, op: ledger.OpPut, edits: []edit{{key: "k", value: "v"}}}
	for w.call(testContext(t), client, put).Outcome == ledger.Acknowledged { // it takes a moment to freeze
	}
	for _, o := range []operation{
		put, {seq: 2, op: ledger.OpGrant, lease: 7, ttl: 60},
		{seq: 3, op: ledger.OpTxn, edits: []edit{{key: "k", value: "v"}}},
	} {
		for want, ctx := range map[string]context.Context{
			context.DeadlineExceeded.Error(): testContext(t), context.Canceled.Error(): ended(100 * time.Millisecond),
		} {
			begin := time.Now()
			entry := w.call(ctx, client, o)
			if entry.Outcome != ledger.Unknown || entry.Reason != want || time.Since(begin) > 10*time.Second {
				t.Errorf("%s: %s because of %q after %s, want %q", o.op, entry.Outcome, entry.Reason, time.Since(begin), want)
			}
		}
	}
}

// ended is a context that somebody cancels after a time.
func ended(after time.Duration) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(after, cancel)
	return ctx
}
