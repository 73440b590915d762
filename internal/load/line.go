package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/etcd-drill/etcd-drill/harness"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// trunk is the connection to one member that a few workers share. One for each worker costs a third of the throughput, in
// handshakes, packets and goroutines on both sides; a single one for all would make every call in flight share its fate.
type trunk struct {
	address *address
	access  harness.Access

	mu     sync.Mutex
	url    string
	client *clientv3.Client
}

// workersPerTrunk is how many workers share a connection.
const workersPerTrunk = 8

// dial returns the client for where the member is now. It makes the client when it is first needed and again when the
// member's address has changed; calls that are still in flight at the old address are then cut off.
func (t *trunk) dial(ctx context.Context, timeout time.Duration) (*clientv3.Client, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	url, err := t.address.read(ctx, timeout)
	if err != nil {
		return nil, err
	}
	if t.client != nil && url == t.url {
		return t.client, nil
	}
	t.close()
	client, err := harness.Dial(url, t.access.To(t.address.target.Name()))
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", t.address.target.Name(), err)
	}
	t.client, t.url = client, url
	return client, nil
}

// hangUp closes the connection, once no worker uses it.
func (t *trunk) hangUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.close()
}

func (t *trunk) close() {
	if t.client != nil {
		_ = t.client.Close() // all that it can report is that the client was closed already
	}
	t.client, t.url = nil, ""
}

// line is one worker's way to one member.
type line struct {
	trunk  *trunk
	client *clientv3.Client
	proved bool // the last call was acknowledged: no need to look at the connection
}

const (
	askAgainAfter = 100 * time.Millisecond // how long an address is believed
	reachWithin   = 250 * time.Millisecond // for a connection to come up before the worker tries another member
)

// ready returns a client whose connection is up, or an error if the member cannot be reached now.
func (l *line) ready(ctx context.Context, timeout time.Duration) (*clientv3.Client, error) {
	if l.proved {
		return l.client, nil
	}
	client, err := l.trunk.dial(ctx, timeout)
	if err != nil {
		return nil, err
	}
	l.client = client
	if err := l.reach(ctx); err != nil {
		return nil, fmt.Errorf("reach %s: %w", l.trunk.address.target.Name(), err)
	}
	l.proved = true
	return l.client, nil
}

// reach waits, not long, until the connection is up.
func (l *line) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	conn := l.client.ActiveConnection()
	conn.Connect() // how soon it tries again is in harness.Dial; gRPC's ResetConnectBackoff races with its own balancer
	for {
		state := conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Shutdown:
			return errors.New("the connection is closed")
		}
		if !conn.WaitForStateChange(ctx, state) {
			return fmt.Errorf("the connection is in state %s: %w", state, ctx.Err())
		}
	}
}

// suspect makes ready look at the address and at the connection again.
func (l *line) suspect() { l.proved = false }

// address is what is known of where a member is. All workers share it, because asking may mean a question to an engine.
type address struct {
	target Target

	mu    sync.Mutex
	url   string
	err   error
	asked time.Time
}

func (a *address) read(ctx context.Context, timeout time.Duration) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if !a.asked.IsZero() && time.Since(a.asked) < askAgainAfter {
		return a.url, a.err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	endpoint, err := a.target.Endpoint(ctx)
	if err != nil {
		err = fmt.Errorf("ask where %s is: %w", a.target.Name(), err)
	}
	a.url, a.err, a.asked = endpoint.Client, err, time.Now()
	return a.url, a.err
}
