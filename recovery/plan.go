package recovery

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/types"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// Why no plan could be made.
var (
	// ErrTokenReused means that the restored cluster would not be a new one: an old member that comes back would be taken
	// for one of its own, and neither etcd's health nor its alarms nor its corruption checks would notice the divergence.
	ErrTokenReused = errors.New("token was used before")
	// ErrNoSource means that the source is not the manifest of a checked backup.
	ErrNoSource = errors.New("no checked source")
	// ErrBadLayout means that the members cannot form a cluster.
	ErrBadLayout = errors.New("layout is impossible")
)

// Plan says how a cluster comes back on a route, and predicts its IDs. It is a value: making one touches nothing.
type Plan struct {
	Route Route `json:"route"`
	// Source is what the members are restored from; the zero value on a route without one.
	Source Source `json:"source"`
	// Layout is the cluster that the restored, or remaining, members form before others join: for a restore all members and
	// the new token.
	Layout    harness.Layout     `json:"layout"`
	ClusterID identity.ClusterID `json:"clusterID"`
	// Members are those of the Layout, whose IDs are known beforehand.
	Members []MemberPlan `json:"members"`
	// Joining are added to the living cluster, which then draws their IDs.
	Joining []harness.Seat `json:"joining,omitempty"`
	// Steps are the plan in its order, where the route leads over a living cluster; a RouteRestore has none: its members are
	// restored and started all at once.
	Steps []Step `json:"steps,omitempty"`
	// SkipHashCheck leaves the integrity hash unverified. A DBCopy needs it, because it has none.
	SkipHashCheck bool `json:"skipHashCheck,omitempty"`
	// Version is the version of etcd that the members will run, see WithVersion; empty if nobody said.
	Version string `json:"version,omitempty"`
	// Warnings are sentences about what will work and have a price.
	Warnings []string `json:"warnings,omitempty"`
	// BumpRevision is by how much the members begin beyond the source, see WithBump; 0 for not at all. MarkCompacted goes with
	// it.
	BumpRevision  uint64 `json:"bumpRevision,omitempty"`
	MarkCompacted bool   `json:"markCompacted,omitempty"`
}

// MemberPlan is one member's part of a Plan.
type MemberPlan struct {
	Name           string `json:"name"`
	PeerURL        string `json:"peerURL"`
	InitialCluster string `json:"initialCluster"`
	DataDir        string `json:"dataDir"` // for Commands only; Restore has its own place
	// WALDir is where Commands keeps a write-ahead log that lies apart from the data; empty for its place in the data directory.
	// offline.Restore keeps it in harness.WALName of the data directory that it makes.
	WALDir   string            `json:"walDir,omitempty"`
	MemberID identity.MemberID `json:"memberID"`
}

// PlanOption changes what NewPlan makes.
type PlanOption func(*planOptions)

type planOptions struct {
	seats    []harness.Seat
	dataDir  func(member string) string
	walDir   func(member string) string // nil for no separate log
	skipHash bool
	places   harness.Placer
	version  string
	bump     uint64
	bumped   bool // somebody asked for a bump, if only for one of 0
	mark     bool
}

// WithSeats gives the new cluster other members than the old one had.
func WithSeats(seats ...harness.Seat) PlanOption {
	return func(o *planOptions) { o.seats = slices.Clone(seats) }
}

// WithDataDir decides which data directories Commands names; NAME.etcd, etcdutl's own default, without it.
func WithDataDir(dataDir func(member string) string) PlanOption {
	return func(o *planOptions) { o.dataDir = dataDir }
}

// WithSeparateWAL has every member keep its write-ahead log apart from its data, and decides which directories Commands names.
// Members must be started so as well, see harness.Birth: etcd begins a new log where it finds none.
func WithSeparateWAL(walDir func(member string) string) PlanOption {
	return func(o *planOptions) { o.walDir = walDir }
}

// WithoutHashCheck leaves the hash of a SavedSnapshot unverified, as a person does who has nothing better than a damaged one.
func WithoutHashCheck() PlanOption {
	return func(o *planOptions) { o.skipHash = true }
}

// WithPlaces tells where members live, for the commands of a plan that starts and adds members; etcd's usual ports on hosts
// called like the members without it.
func WithPlaces(places harness.Placer) PlanOption {
	return func(o *planOptions) { o.places = places }
}

func planOptionsOf(old harness.Layout, opts []PlanOption) planOptions {
	options := planOptions{
		seats: slices.Clone(old.Seats), dataDir: func(member string) string { return member + ".etcd" }, places: harness.HostPlaces{},
	}
	for _, opt := range opts {
		opt(&options)
	}
	return options
}

func (o planOptions) walDirOf(member string) string {
	if o.walDir == nil {
		return ""
	}
	return o.walDir(member)
}

// WithVersion says which version of etcd the members will run, for example "3.6.16". A plan for one that does not start on the
// source is refused with ErrVersionRefused.
func WithVersion(version string) PlanOption {
	return func(o *planOptions) { o.version = version }
}

// NewPlan plans the restore of every member of the old layout, on its old peer URL, under a token that was never used
// before. It touches nothing.
//
// It returns ErrTokenReused if the token is empty, is the old one, or leads to the old cluster ID or to a member ID that the
// old layout or the source knows. The last guard also works for a backup of which nothing else is known. It returns ErrBadBump
// for a bump that etcdutl would do wrongly.
func NewPlan(src Source, old harness.Layout, token identity.Token, opts ...PlanOption) (Plan, error) {
	options := planOptionsOf(old, opts)
	if !src.Kind.Known() || src.Path == "" || src.SHA256 == "" || src.RestorePoint < 1 {
		return Plan{}, fmt.Errorf("plan restore: %w: %+v; Check a snapshot or a db copy first", ErrNoSource, src)
	}
	layout := harness.Layout{Token: token, Seats: options.seats}
	if err := checkLayout(layout); err != nil {
		return Plan{}, fmt.Errorf("plan restore: %w", err)
	}
	if err := checkFresh(layout, old, src); err != nil {
		return Plan{}, fmt.Errorf("plan restore: %w; use identity.FreshToken", err)
	}
	if err := options.checkBump(src); err != nil {
		return Plan{}, fmt.Errorf("plan restore: %w", err)
	}
	plan := Plan{
		Route: RouteRestore, Source: src, Layout: layout, ClusterID: layout.ClusterID(),
		SkipHashCheck: options.skipHash || src.HashSkipped || src.Kind == DBCopy, BumpRevision: options.bump, MarkCompacted: options.mark,
	}
	if err := plan.runOn(options.version); err != nil {
		return Plan{}, fmt.Errorf("plan restore: %w", err)
	}
	for _, seat := range layout.Seats {
		plan.Members = append(plan.Members, MemberPlan{
			Name: seat.Name, PeerURL: seat.PeerURL, InitialCluster: layout.InitialCluster(),
			DataDir: options.dataDir(seat.Name), WALDir: options.walDirOf(seat.Name), MemberID: layout.MemberID(seat),
		})
	}
	return plan, nil
}

// maxNameBytes leaves room, in the name of a folder, for what a staging folder has behind the member's name.
const maxNameBytes = 200

// checkLayout refuses what etcdutl would refuse late or misunderstand. A member's name also becomes that of a folder.
func checkLayout(layout harness.Layout) error {
	if len(layout.Seats) == 0 || len(layout.Seats) > harness.MaxMembers {
		return fmt.Errorf("%w: %d members, must be 1 to %d", ErrBadLayout, len(layout.Seats), harness.MaxMembers)
	}
	names, urls := map[string]bool{}, map[string]bool{}
	for _, seat := range layout.Seats {
		if seat.Name == "" || len(seat.Name) > maxNameBytes || strings.HasPrefix(seat.Name, ".") ||
			strings.ContainsAny(seat.Name, "=,/\\\x00 \t\r\n") {
			return fmt.Errorf("%w: %q cannot be the name of a member", ErrBadLayout, seat.Name)
		}
		if names[seat.Name] || urls[seat.PeerURL] {
			return fmt.Errorf("%w: name or peer URL of member %s (%s) is taken twice", ErrBadLayout, seat.Name, seat.PeerURL)
		}
		names[seat.Name], urls[seat.PeerURL] = true, true
		// etcd compares what it parsed and falls back to resolving names for up to 30 s (server/config/config.go,
		// advertiseMatchesCluster), so the text must survive parsing unchanged.
		parsed, err := types.NewURLs([]string{seat.PeerURL})
		if err != nil {
			return fmt.Errorf("%w: peer URL of member %s: %w", ErrBadLayout, seat.Name, err)
		}
		if parsed.String() != seat.PeerURL || strings.Contains(seat.PeerURL, ",") {
			return fmt.Errorf("%w: peer URL of member %s is %q, etcd reads %q", ErrBadLayout, seat.Name, seat.PeerURL, parsed)
		}
	}
	return nil
}

// Check refuses a plan that no constructor makes: it is a value that anybody can change. The error wraps ErrBadBump or
// ErrBadLayout.
func (p Plan) Check() error {
	if err := checkBumpOf(p.Source, p.BumpRevision, p.MarkCompacted); err != nil {
		return err
	}
	return p.checkMembers()
}

// checkMembers holds the members of a plan, which is a value that anybody can change, against its layout: etcd would resolve
// names for up to 30 s where two texts for the same address differ, and make a cluster of its own of a member that has others
// than the rest.
func (p Plan) checkMembers() error {
	if err := checkLayout(p.Layout); err != nil {
		return err
	}
	if len(p.Members) != len(p.Layout.Seats) {
		return fmt.Errorf("%w: %d members, and %d in the layout; make the plan anew", ErrBadLayout, len(p.Members), len(p.Layout.Seats))
	}
	for i, member := range p.Members {
		seat := p.Layout.Seats[i]
		if member.Name != seat.Name || member.PeerURL != seat.PeerURL || member.InitialCluster != p.Layout.InitialCluster() {
			return fmt.Errorf("%w: member %s at %s of %q is not %s at %s of %q; make the plan anew", ErrBadLayout,
				member.Name, member.PeerURL, member.InitialCluster, seat.Name, seat.PeerURL, p.Layout.InitialCluster())
		}
	}
	return nil
}

func checkFresh(layout, old harness.Layout, src Source) error {
	switch {
	case layout.Token == "":
		return fmt.Errorf("%w: it is empty, which etcd replaces by its default", ErrTokenReused)
	case layout.Token == old.Token:
		return fmt.Errorf("%w: %q is the old cluster's", ErrTokenReused, layout.Token)
	case layout.ClusterID() == old.ClusterID():
		return fmt.Errorf("%w: %q leads to the old cluster ID %s", ErrTokenReused, layout.Token, old.ClusterID())
	}
	known := slices.Clone(src.MemberIDs)
	for _, seat := range old.Seats {
		known = append(known, old.MemberID(seat))
	}
	for _, seat := range layout.Seats {
		if id := layout.MemberID(seat); slices.Contains(known, id) {
			return fmt.Errorf("%w: %q gives member %s the ID %s of an old member", ErrTokenReused, layout.Token, seat.Name, id)
		}
	}
	return nil
}
