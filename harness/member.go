package harness

import (
	"context"
	"fmt"
	"io"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// Member is one member of a Cluster: its seat, the node that runs it and the disk that holds its data.
type Member struct {
	seat Seat
	id   identity.MemberID
	node Node
	disk Disk
	args []string // etcd's flags, kept for Return
	// version is that of the Birth, kept for Return.
	version string
	// nodeName is the node's, unique in the site.
	nodeName string
	// files are those of its node, kept for Return; nil without TLS.
	files map[string][]byte
	// access is how the drill's own clients reach the member.
	access Access
	// scrub is that of the Birth.
	scrub func(line string) (kept string, keep bool)
}

// Name returns the member's name, for example "m1".
func (m *Member) Name() string { return m.seat.Name }

// NodeName returns the name of the node that runs the member: that of the member, and from its cluster's second generation
// on with the generation behind it. It is unique in the site.
func (m *Member) NodeName() string { return m.nodeName }

// Seat returns the member's part of the layout.
func (m *Member) Seat() Seat { return m.seat }

// ID returns the member's ID: computed from its peer URL and the cluster's token, or drawn by etcd when the member was added
// to a living cluster.
func (m *Member) ID() identity.MemberID { return m.id }

// Version returns the version of etcd that the member was born with; empty for the runtime's default.
func (m *Member) Version() string { return m.version }

// Disk returns the member's storage. It may be used only while the member is stopped.
func (m *Member) Disk() Disk { return m.disk }

// Start starts the member's process again on the same disk. It does not wait until the member answers.
func (m *Member) Start(ctx context.Context) error { return m.wrap("start", m.node.Start(ctx)) }

// Signal delivers the signal and does not wait for its effect.
func (m *Member) Signal(ctx context.Context, s Signal) error {
	return m.wrap(string(s), m.node.Signal(ctx, s))
}

// Usage tells what the member's process has taken. It is an error wrapping ErrUnsupported where the runtime cannot tell.
func (m *Member) Usage(ctx context.Context) (Usage, error) {
	gauge, able := m.node.(Gauge)
	if !able {
		return Usage{}, m.wrap("measure", Unsupported("this runtime does not measure processes"))
	}
	usage, err := gauge.Usage(ctx)
	return usage, m.wrap("measure", err)
}

// Wait returns when the member's process has ended.
func (m *Member) Wait(ctx context.Context) (Exit, error) {
	exit, err := m.node.Wait(ctx)
	return exit, m.wrap("await exit of", err)
}

// Stop asks etcd to stop and waits until it has; the backend is flushed. A member that is still up when patience runs out
// is an error, never a silent kill: a killed member's file lacks what was not yet flushed.
func (m *Member) Stop(ctx context.Context, patience time.Duration) (Exit, error) {
	if err := m.Signal(ctx, Terminate); err != nil {
		return Exit{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("still running %s after SIGTERM", patience))
	defer cancel()
	return m.Wait(ctx)
}

// Kill ends the process without a chance to flush, and waits until it is gone.
func (m *Member) Kill(ctx context.Context) (Exit, error) {
	if err := m.Signal(ctx, Kill); err != nil {
		return Exit{}, err
	}
	return m.Wait(ctx)
}

// Endpoint returns the addresses at which this machine reaches the running member. They change with every start.
func (m *Member) Endpoint(ctx context.Context) (Endpoint, error) {
	endpoint, err := m.node.Endpoint(ctx)
	return endpoint, m.wrap("find address of", err)
}

// Logs returns everything that the member's process has printed.
func (m *Member) Logs(ctx context.Context) (io.ReadCloser, error) {
	logs, err := m.node.Logs(ctx)
	if err == nil && m.scrub != nil {
		logs = scrubbed(logs, m.scrub)
	}
	return logs, m.wrap("read log of", err)
}

// Dial returns a client of this member alone, which takes no answer of another cluster than the member's: such an answer is
// an error wrapping ErrForeignCluster. The caller closes it. The client never repeats a request by itself, so one call is one
// write at most. It stays bound to the address of the present start.
func (m *Member) Dial(ctx context.Context) (*clientv3.Client, error) { return m.dial(ctx, m.access) }

// DialAny is Dial for a caller that looks at the headers itself: answers of every cluster are taken.
func (m *Member) DialAny(ctx context.Context) (*clientv3.Client, error) {
	return m.DialOf(ctx, AnyCluster)
}

// DialOf is Dial for a caller that knows better which cluster must answer.
func (m *Member) DialOf(ctx context.Context, cluster identity.ClusterID) (*clientv3.Client, error) {
	access := m.access
	access.Cluster = cluster
	return m.dial(ctx, access)
}

func (m *Member) dial(ctx context.Context, access Access) (*clientv3.Client, error) {
	endpoint, err := m.Endpoint(ctx)
	if err != nil {
		return nil, err
	}
	client, err := Dial(endpoint.Client, access)
	return client, m.wrap("dial", err)
}

func (m *Member) wrap(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", verb, m.seat.Name, err)
}
