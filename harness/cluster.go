package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// Cluster is one logical cluster on a site: all its members under one token. A cluster that was restored is another Cluster
// on the same site, with the same names and peer URLs, on other disks.
type Cluster struct {
	site    Site
	layout  Layout
	id      identity.ClusterID
	members []*Member
	birth   Birth // what joining members are made like
}

// Birth says what a cluster is started from.
type Birth struct {
	Layout Layout
	// Generation is 1 for the first cluster on a site and grows with every restore; it keeps nodes and disks apart that carry
	// the same member name.
	Generation int
	// Dirs maps every member's name to the prepared data directory that its disk adopts; nil for a new, empty cluster.
	Dirs map[string]string
	// Kept makes a cluster go on that was there before; nil for one that is new.
	Kept *Kept
	// Args are further etcd flags for every member.
	Args []string
	// Version is the version of etcd that every member runs, as Runtime.Prepare takes it.
	Version string
	// Login is whom the drill's own clients log in as; nobody if zero. With Security and without a password their certificate
	// says so.
	Login Login
	// Security has the members speak TLS, and must fit the URLs of the Layout; nil for plain text.
	Security *Security
	// SeparateWAL has every member keep its write-ahead log apart from its data, see Place.
	SeparateWAL bool

	// Scrub, if not nil, is what becomes of each line that a member prints, on its way to whoever reads its log: the line without
	// its end, or another one, or nothing.
	Scrub func(line string) (kept string, keep bool)

	access Access // to the members, but for their names
}

// manner is how the members differ from those of etcd's recovery page.
func (b Birth) manner() Manner { return Manner{TLS: b.Security != nil, SeparateWAL: b.SeparateWAL} }

// Prepare makes the nodes and disks of a cluster and starts nothing. A prepared directory whose log its member would not find
// is an error wrapping ErrNoLog, and none of them is touched.
func Prepare(ctx context.Context, site Site, birth Birth) (*Cluster, error) {
	id := birth.Layout.ClusterID()
	if birth.Kept != nil {
		id = birth.Kept.Cluster
	}
	err := birth.checkScheme()
	if err == nil {
		err = birth.checkLogs(site)
	}
	if err == nil {
		birth.access, err = birth.Security.access(Access{Cluster: id, Login: birth.Login})
	}
	if err != nil {
		return nil, fmt.Errorf("prepare cluster of %d: %w", len(birth.Layout.Seats), err)
	}
	members := make([]*Member, len(birth.Layout.Seats))
	work, ctx := errgroup.WithContext(ctx)
	for i, seat := range birth.Layout.Seats {
		work.Go(func() (err error) {
			members[i], err = prepareMember(ctx, site, birth, seat)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, fmt.Errorf("prepare cluster of %d: %w", len(members), err)
	}
	return &Cluster{site: site, layout: birth.Layout, id: id, members: members, birth: birth}, nil
}

// fresh tells whether the members begin empty, so that they bootstrap.
func (b Birth) fresh() bool { return b.Dirs == nil && b.Kept == nil }

func prepareMember(ctx context.Context, site Site, birth Birth, seat Seat) (*Member, error) {
	name := nodeName(seat.Name, birth.Generation)
	place, err := birth.manner().Places(site).Place(seat.Name)
	if err != nil {
		return nil, err
	}
	files, err := birth.Security.files(seat, place)
	if err != nil {
		return nil, err
	}
	disk, id, err := birth.disk(ctx, site, seat)
	if err != nil {
		return nil, err
	}
	args := append(Flags(birth.Layout, seat, place), birth.Args...)
	node, err := site.NewNode(ctx, NodeSpec{
		Name: name, Hostname: seat.Name, Disk: disk, Files: files, Args: args, Version: birth.Version,
	})
	if err != nil {
		return nil, err
	}
	return &Member{
		seat: seat, id: id, node: node, nodeName: name, disk: disk, args: args, version: birth.Version,
		files: files, access: birth.access.To(seat.Name), scrub: birth.Scrub,
	}, nil
}

// disk returns the storage with which the member of this seat begins, and the ID that it has there.
func (b Birth) disk(ctx context.Context, site Site, seat Seat) (Disk, identity.MemberID, error) {
	if b.Kept != nil {
		m, ok := b.Kept.Members[seat.Name]
		if !ok {
			return nil, 0, fmt.Errorf("prepare %s: it is no member of the cluster that goes on", seat.Name)
		}
		return m.disk, m.id, nil
	}
	disk, err := site.NewDisk(ctx, nodeName(seat.Name, b.Generation))
	if err != nil {
		return nil, 0, err
	}
	if b.Dirs != nil {
		dir, ok := b.Dirs[seat.Name]
		if !ok {
			return nil, 0, fmt.Errorf("prepare %s: no directory was prepared for it", seat.Name)
		}
		if err := disk.Adopt(ctx, dir); err != nil {
			return nil, 0, fmt.Errorf("prepare %s: %w", seat.Name, err)
		}
	}
	return disk, b.Layout.MemberID(seat), nil
}

func nodeName(member string, generation int) string {
	if generation <= 1 {
		return member
	}
	return fmt.Sprintf("%s-g%d", member, generation)
}

// Access returns how the drill's own clients reach the members: they take no answer of another cluster.
// Ask for a client of one member with To its name.
func (c *Cluster) Access() Access { return c.birth.access }

// ID returns the cluster's ID: what its layout yields, or what it kept when members came and went. AwaitReady holds every
// member to it.
func (c *Cluster) ID() identity.ClusterID { return c.id }

// Layout returns the cluster's plan.
func (c *Cluster) Layout() Layout { return c.layout }

// Site returns the place where the cluster lives.
func (c *Cluster) Site() Site { return c.site }

// Size returns the number of members.
func (c *Cluster) Size() int { return len(c.members) }

// Members returns all members in the order of their seats.
func (c *Cluster) Members() []*Member { return slices.Clone(c.members) }

// Member returns the member of this name.
func (c *Cluster) Member(name string) (*Member, error) {
	for _, m := range c.members {
		if m.Name() == name {
			return m, nil
		}
	}
	return nil, fmt.Errorf("cluster has no member %q, it has %s", name, strings.Join(c.layout.Names(), ", "))
}

// Start starts all members in parallel and returns when their processes run. If one cannot be started, the others are
// killed again and the error carries the last lines that the failed member printed.
//
// Of a new cluster the first member goes a little ahead. A new etcd asks its peers, in the order of their URLs, whether it
// was bootstrapped before, until one answers, and gives each a second (server/etcdserver/bootstrap.go, isMemberBootstrapped).
// Members that start at the same moment all listen and do not answer yet, and cost each other those seconds.
func (c *Cluster) Start(ctx context.Context) error {
	together := c.members
	if c.birth.fresh() && len(c.members) > 1 {
		if err := c.startAhead(ctx, c.members[0]); err != nil {
			return errors.Join(err, c.abandon(ctx))
		}
		together = c.members[1:]
	}
	err := each(ctx, together, func(ctx context.Context, m *Member) error { return m.Start(ctx) })
	if err == nil {
		return nil
	}
	return errors.Join(err, c.abandon(ctx))
}

// aheadWithin is how long the first member may take until its peer port answers; it asks all its peers in vain before.
const aheadWithin = 30 * time.Second

func (c *Cluster) startAhead(ctx context.Context, m *Member) error {
	if err := m.Start(ctx); err != nil {
		return err
	}
	probe, err := m.await(ctx, "answering its peers", aheadWithin, func(ctx context.Context, _ *Probe) error {
		_, err := m.AskAsPeer(ctx, c.ID(), "")
		return err
	})
	probe.Close()
	return err
}

// AwaitReady returns when every member answers a linearizable read over gRPC under the IDs that the layout yields. It fails
// early, with the last lines of its log, when a member's process ends.
func (c *Cluster) AwaitReady(ctx context.Context, within time.Duration) error {
	return each(ctx, c.members, func(ctx context.Context, m *Member) error {
		return m.AwaitReady(ctx, c.ID(), within)
	})
}

// abandon ends what a failed start left running. Members that never ran are no error.
func (c *Cluster) abandon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return each(ctx, c.members, func(ctx context.Context, m *Member) error {
		if _, err := m.Endpoint(ctx); err != nil {
			return nil //nolint:nilerr // a member without an address does not run
		}
		_, err := m.Kill(ctx)
		return err
	})
}

// each runs do for every member in parallel and joins the errors.
func each(ctx context.Context, members []*Member, do func(context.Context, *Member) error) error {
	results := make([]error, len(members))
	var work errgroup.Group
	for i, m := range members {
		work.Go(func() error {
			results[i] = do(ctx, m)
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	return errors.Join(results...)
}
