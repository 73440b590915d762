package load

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestOnlyTheClosedListIsRefused(t *testing.T) {
	for _, row := range []struct {
		err  error
		want ledger.Outcome
	}{
		{rpctypes.ErrEmptyKey, ledger.Refused},
		{rpctypes.ErrValueProvided, ledger.Refused},
		{rpctypes.ErrLeaseProvided, ledger.Refused},
		{rpctypes.ErrTooManyOps, ledger.Refused},
		{rpctypes.ErrDuplicateKey, ledger.Refused},
		{rpctypes.ErrKeyNotFound, ledger.Refused},
		{rpctypes.ErrRequestTooLarge, ledger.Refused},
		{rpctypes.ErrTooManyRequests, ledger.Refused},
		{rpctypes.ErrLeaseNotFound, ledger.Refused},
		{rpctypes.ErrLeaseExist, ledger.Refused},
		{rpctypes.ErrLeaseTTLTooLarge, ledger.Refused},
		{rpctypes.ErrNotCapable, ledger.Refused},
		{rpctypes.ErrGRPCNotSupportedForLearner, ledger.Refused},
		{rpctypes.ErrInvalidAuthToken, ledger.Refused},
		{rpctypes.ErrUserEmpty, ledger.Refused},
		{rpctypes.ErrAuthOldRevision, ledger.Refused},
		{rpctypes.ErrPermissionDenied, ledger.Refused},
		{rpctypes.ErrGRPCLeaseNotFound, ledger.Refused}, // as a call past the client's own translation returns it
		{fmt.Errorf("wrapped: %w", rpctypes.ErrLeaseNotFound), ledger.Refused},
		// The server sends this one without its code: it comes as Unknown with the text.
		{status.Error(codes.Unknown, rpctypes.ErrTooManyRequests.Error()), ledger.Refused},

		{rpctypes.ErrNoSpace, ledger.Unknown},
		{rpctypes.ErrCorrupt, ledger.Unknown},
		{rpctypes.ErrNoLeader, ledger.Unknown},
		{rpctypes.ErrNotLeader, ledger.Unknown},
		{rpctypes.ErrLeaderChanged, ledger.Unknown},
		{rpctypes.ErrStopped, ledger.Unknown},
		{rpctypes.ErrTimeout, ledger.Unknown},
		{rpctypes.ErrTimeoutDueToLeaderFail, ledger.Unknown},
		{rpctypes.ErrTimeoutDueToConnectionLost, ledger.Unknown},
		{rpctypes.ErrTimeoutWaitAppliedIndex, ledger.Unknown},
		{rpctypes.ErrUnhealthy, ledger.Unknown},
		{rpctypes.ErrGRPCCanceled, ledger.Unknown},
		{rpctypes.ErrGRPCDeadlineExceeded, ledger.Unknown},
		{context.Canceled, ledger.Unknown},
		{context.DeadlineExceeded, ledger.Unknown},
		{status.Error(codes.Unavailable, "connection refused"), ledger.Unknown},
		{status.Error(codes.Unavailable, "error reading from server: EOF"), ledger.Unknown},
		{status.Error(codes.ResourceExhausted, "received message larger than max"), ledger.Unknown},
		{status.Error(codes.Unknown, "raft proposal dropped"), ledger.Unknown},
		{errors.New("something else"), ledger.Unknown},
	} {
		if got := classify(row.err); got != row.want {
			t.Errorf("%v is %s instead of %s", row.err, got, row.want)
		}
	}
}

// The members of the list that a client can provoke are raised by a real etcd, and have no effect there.
func TestWhatEtcdRefusesHasNoEffect(t *testing.T) {
	ctx := testContext(t)
	m := startMember(t)
	client := m.dial(t)
	before := m.revision(t)
	put := clientv3.OpPut("k", "v")
	many := make([]clientv3.Op, 129) // etcd's --max-txn-ops is 128
	for i := range many {
		many[i] = clientv3.OpPut(fmt.Sprint(i), "v")
	}
	for name, call := range map[string]func() error{
		"empty key":         func() error { _, err := client.Put(ctx, "", "v"); return err },
		"duplicate key":     func() error { _, err := client.Txn(ctx).Then(put, put).Commit(); return err },
		"too many ops":      func() error { _, err := client.Txn(ctx).Then(many...).Commit(); return err },
		"too large":         func() error { _, err := client.Put(ctx, "k", string(make([]byte, 1600<<10))); return err },
		"lease not found":   func() error { _, err := client.Put(ctx, "k", "v", clientv3.WithLease(99)); return err },
		"lease for ages":    func() error { _, err := client.Grant(ctx, 10_000_000_000); return err },
		"lease in txn":      func() error { _, err := client.Txn(ctx).Then(put, leased("l")).Commit(); return err },
		"value and ignored": func() error { _, err := client.Put(ctx, "k", "", clientv3.WithIgnoreValue()); return err },
	} {
		err := call()
		if err == nil || classify(err) != ledger.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := m.revision(t); after != before {
		t.Errorf("refused writes moved the store from revision %d to %d", before, after)
	}
}

func leased(key string) clientv3.Op { return clientv3.OpPut(key, "v", clientv3.WithLease(99)) }

func TestAGrantOfATakenIDIsRefused(t *testing.T) {
	ctx := testContext(t)
	client := startMember(t).dial(t)
	grant := operation{op: ledger.OpGrant, lease: 4711, ttl: 60}
	_, err := grant.send(ctx, client)
	check(t, err)
	if _, err = grant.send(ctx, client); err == nil || classify(err) != ledger.Refused {
		t.Errorf("the second grant ended with %v", err)
	}
}
