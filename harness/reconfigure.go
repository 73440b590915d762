package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// Kept says which cluster goes on: its ID, and those of its members that begin again on the disks that they had. Their nodes
// must be stopped.
type Kept struct {
	Cluster identity.ClusterID
	Members map[string]*Member
}

// Keep returns what Birth needs to go on with these members of the cluster.
func (c *Cluster) Keep(names ...string) (*Kept, error) {
	kept := &Kept{Cluster: c.id, Members: map[string]*Member{}}
	for _, name := range names {
		m, err := c.Member(name)
		if err != nil {
			return nil, err
		}
		kept.Members[name] = m
	}
	return kept, nil
}

// askVia bounds one request to change the membership.
const askVia = 5 * time.Second

// Addition says how a member joins a living cluster.
type Addition struct {
	Seat Seat
	Via  string // the member that is asked
	// Learner adds a member without a vote. It answers serializable reads only, until it is promoted.
	Learner bool
	// Generation keeps the new member's node and disk apart from those of members before it that had the same name.
	Generation int
	// Within bounds the wait for leave: etcd refuses to add a member until every voter has been connected for 5 s
	// (server/etcdserver/server.go, HealthInterval), so that the request is repeated until it is accepted.
	Within time.Duration
}

// Add tells the living cluster of a new member, and prepares that member with an empty disk; it is not started. The
// returned cluster is this one with the new member; the value itself stays as it is. The member's ID is the one that etcd
// drew from its URL and the time.
func (c *Cluster) Add(ctx context.Context, a Addition) (*Cluster, error) {
	seat := a.Seat
	id, err := c.register(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("add %s: %w", seat.Name, err)
	}
	birth := c.birth
	birth.Generation = a.Generation
	birth.Dirs, birth.Kept = nil, nil
	birth.Layout = Layout{Token: c.layout.Token, Seats: append(slices.Clone(c.layout.Seats), seat)}
	birth.Args = append(slices.Clone(birth.Args), "--initial-cluster-state=existing")
	m, err := prepareMember(ctx, c.site, birth, seat)
	if err != nil {
		return nil, fmt.Errorf("add %s: %w", seat.Name, err)
	}
	m.id = id
	return &Cluster{
		site: c.site, layout: birth.Layout, id: c.id, birth: c.birth, members: append(slices.Clone(c.members), m),
	}, nil
}

func (c *Cluster) register(ctx context.Context, a Addition) (id identity.MemberID, err error) {
	probe, err := c.probe(ctx, a.Via)
	if err != nil {
		return 0, err
	}
	defer probe.Close()
	err = reconfigure(ctx, "leave to add "+a.Seat.Name, a.Within, func(ctx context.Context) error {
		add := probe.Client().MemberAdd
		if a.Learner {
			add = probe.Client().MemberAddAsLearner
		}
		response, err := add(ctx, []string{a.Seat.PeerURL})
		if err == nil {
			id = identity.MemberID(response.Member.ID)
		}
		return err
	})
	return id, err
}

// reconfigure asks for a change of the members until it is granted. What is refused because the cluster is not ready for it has changed
// nothing; after any other error, a timeout too, the change may have been made, and is not asked for again.
func reconfigure(ctx context.Context, what string, within time.Duration, ask func(context.Context) error) error {
	return await.Until(ctx, await.Condition{Name: what, Every: 200 * time.Millisecond, Within: within}, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, askVia)
		defer cancel()
		err := ask(ctx)
		if err == nil {
			return nil
		}
		for _, unready := range []error{rpctypes.ErrUnhealthy, rpctypes.ErrMemberNotEnoughStarted, rpctypes.ErrMemberLearnerNotReady} {
			if errors.Is(err, unready) {
				return err
			}
		}
		return await.Hopeless(err)
	})
}

// Promote gives a learner its vote, as soon as the cluster finds that it has caught up, within the time given.
func (c *Cluster) Promote(ctx context.Context, via, name string, within time.Duration) error {
	m, err := c.Member(name)
	if err != nil {
		return fmt.Errorf("promote %s: %w", name, err)
	}
	probe, err := c.probe(ctx, via)
	if err != nil {
		return fmt.Errorf("promote %s: %w", name, err)
	}
	defer probe.Close()
	return reconfigure(ctx, "the promotion of "+name, within, func(ctx context.Context) error {
		_, err := probe.Client().MemberPromote(ctx, uint64(m.id))
		return err
	})
}

// Remove tells the living cluster, through one of its members, that the member of this name is gone for good. The returned
// cluster is this one without it; the value itself stays as it is. The member's process, if it lives, is told by its peers and
// ends. Within bounds the wait for leave, as with Addition: etcd does not let go of a member that lives while too few of the others
// have been connected for 5 s (server/etcdserver/server.go, mayRemoveMember).
func (c *Cluster) Remove(ctx context.Context, via, name string, within time.Duration) (*Cluster, error) {
	gone, err := c.Member(name)
	if err != nil {
		return nil, fmt.Errorf("remove %s: %w", name, err)
	}
	probe, err := c.probe(ctx, via)
	if err != nil {
		return nil, fmt.Errorf("remove %s: %w", name, err)
	}
	defer probe.Close()
	err = reconfigure(ctx, "leave to remove "+name, within, func(ctx context.Context) error {
		_, err := probe.Client().MemberRemove(ctx, uint64(gone.id))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("remove %s: %w", name, err)
	}
	less := &Cluster{site: c.site, id: c.id, birth: c.birth, layout: Layout{Token: c.layout.Token}}
	for _, m := range c.members {
		if m != gone {
			less.members = append(less.members, m)
			less.layout.Seats = append(less.layout.Seats, m.seat)
		}
	}
	return less, nil
}

func (c *Cluster) probe(ctx context.Context, name string) (*Probe, error) {
	m, err := c.Member(name)
	if err != nil {
		return nil, err
	}
	return m.Probe(ctx)
}

// RemovedNotice is what a member prints that ends because its peers told it that it is none of theirs any more
// (server/etcdserver/api/rafthttp/util.go, errMemberRemoved; http.go answers 410 Gone).
const RemovedNotice = "the member has been permanently removed from the cluster"

// CopyDisks copies the data of these members of a cluster that is down to disks of their own, and returns the cluster as it
// would go on with them; the originals stay as they are. The generation keeps the copies apart from other disks.
func (c *Cluster) CopyDisks(ctx context.Context, generation int, names ...string) (*Kept, error) {
	kept := &Kept{Cluster: c.id, Members: map[string]*Member{}}
	for _, m := range c.members {
		disk, err := c.site.NewDisk(ctx, nodeName(m.Name(), generation))
		if err == nil && slices.Contains(names, m.Name()) {
			err = m.disk.CopyTo(ctx, disk)
		}
		if err != nil {
			return nil, fmt.Errorf("copy data of %s: %w", m.Name(), err)
		}
		kept.Members[m.Name()] = &Member{seat: m.seat, id: m.id, disk: disk}
	}
	return kept, nil
}

// absentKey is deleted to have something go through raft that changes no revision.
const absentKey = "etcd-drill-probe"

// AwaitJoined returns when a member that was added to the living cluster answers, and keeps the cluster busy meanwhile through
// another member. In an idle cluster the new member may never get ready: after it received a snapshot it counts as far behind
// until it has applied an entry, and refuses its own announcement (server/etcdserver/server.go, applySnapshot does not set the
// applied index; v3_server.go, maxGapBetweenApplyAndCommitIndex). The entries are deletes of a key that is not there.
func (c *Cluster) AwaitJoined(ctx context.Context, via, name string, within time.Duration) error {
	m, err := c.Member(name)
	if err != nil {
		return err
	}
	probe, err := c.probe(ctx, via)
	if err != nil {
		return err
	}
	defer probe.Close()
	busy, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = await.Until(busy, await.Condition{Name: "the member", Every: time.Second}, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, askVia)
			defer cancel()
			_, err := probe.Client().Delete(ctx, absentKey)
			return errors.Join(errors.New("still joining"), err)
		}) // it only ends by being stopped
	}()
	err = m.AwaitReady(ctx, c.id, within)
	stop()
	<-done
	return err
}
