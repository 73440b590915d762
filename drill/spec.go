package drill

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/load"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Spec says what to rehearse. The zero value is not usable; start from DefaultSpec.
type Spec struct {
	Members int           `json:"members"`
	Fault   string        `json:"fault"`
	Lose    faults.Target `json:"lose"`
	Source  recovery.Kind `json:"source"`
	// Backup says when a snapshot is saved. A db copy is always taken after the disaster.
	Backup Backup `json:"backup"`
	// Route is the way back; recovery.RouteRestore if empty. Routes without a source take no notice of Source and Backup.
	Route recovery.Route `json:"route,omitempty"`
	// RestoreMembers is the size of the cluster that is restored; that of the lost one if 0.
	RestoreMembers int `json:"restoreMembers,omitempty"`
	Keys           int `json:"keys"`
	ValueBytes     int `json:"valueBytes"`
	Workers        int `json:"workers"`
	// LeaseTTL is what the load's leases are granted for, in whole seconds; an hour if zero, so that they outlive the drill.
	LeaseTTL time.Duration `json:"leaseTTLNanoseconds,omitempty"`
	// EtcdVersion is the version of etcd that will be lost; the runtime's default if empty. RestoreVersion is the one that is
	// restored on; the same if empty. "3.6" means the one of that minor that is pinned.
	EtcdVersion    string `json:"etcdVersion,omitempty"`
	RestoreVersion string `json:"restoreVersion,omitempty"`
	// Seed fixes each worker's stream of operations, the victims and the plan's shape. Interleaving, revisions and leadership
	// are not reproducible.
	Seed uint64 `json:"seed"`
	// BumpRevision is by how many revisions the new cluster begins beyond the source, MarkCompacted whether it takes what lies
	// below for compacted; neither goes without the other. See recovery.WithBump for how much is enough.
	BumpRevision  uint64 `json:"bumpRevision,omitempty"`
	MarkCompacted bool   `json:"markCompacted,omitempty"`
	// TLS has members speak TLS to their peers and to clients, under certificates that the drill makes.
	TLS bool `json:"tls,omitempty"`
	// Auth switches authentication on and has the drill's clients be root by their certificates, because a login with a
	// password needs the quorum. It goes with TLS, whether that is set or not.
	Auth bool `json:"auth,omitempty"`
	// SeparateWAL has every member keep its write-ahead log apart from its data.
	SeparateWAL bool `json:"separateWAL,omitempty"`
	// Own is a backup that somebody has. Nothing is started, loaded and lost then: of the fields above only Members, EtcdVersion or
	// RestoreVersion, Seed and those of a bump, of TLS and of the log have a meaning.
	Own *Own `json:"own,omitempty"`
}

// Backup says when a snapshot is saved.
type Backup string

const (
	// Before saves from a member of the whole cluster; what is written afterwards will be lost.
	Before Backup = "before"
	// After saves from a survivor when the quorum is gone.
	After Backup = "after"
)

// DefaultSpec is the main job's first drill: 3 members, the quorum killed, a snapshot saved from the survivor.
func DefaultSpec() Spec {
	return Spec{
		Members: 3, Fault: "kill", Lose: faults.Quorum, Source: recovery.SavedSnapshot, Backup: After,
		Keys: 10000, ValueBytes: 256, Workers: 64,
	}
}

// MainJob returns the two drills that make up the project's main job, with the sizes and the seed of this spec: the quorum
// killed and recovered from a snapshot saved from a survivor; all members killed and recovered from a copy of a dead
// member's database.
func MainJob(base Spec) []Spec {
	first := base
	first.Fault, first.Lose, first.Source, first.Backup = "kill", faults.Quorum, recovery.SavedSnapshot, After
	if base.Members == 1 { // the quorum of one is all there is: no survivor to save from
		first.Backup = Before
	}
	second := first
	second.Lose, second.Source, second.Backup = faults.All, recovery.DBCopy, After
	return []Spec{first, second}
}

// ErrUsage marks a spec that no drill can follow: a wrong word or an impossible combination.
var ErrUsage = errors.New("wrong usage")

// Check returns an error wrapping ErrUsage, with the reason and the way out, if no drill can follow the spec.
func (s Spec) Check() error {
	checks := []func(Spec) error{Spec.checkWords, Spec.checkVersions, Spec.checkRoute, Spec.checkBump}
	if s.Own != nil {
		checks = []func(Spec) error{s.Own.check, Spec.checkVersions, Spec.checkBump}
	}
	for _, check := range checks {
		if err := check(s); err != nil {
			return fmt.Errorf("%w: %w", ErrUsage, err)
		}
	}
	return nil
}

func (s Spec) checkWords() error {
	if s.Members < 1 || s.Members > harness.MaxMembers {
		return fmt.Errorf("%d members: a drill takes 1 to %d", s.Members, harness.MaxMembers)
	}
	if s.RestoreMembers < 0 || s.RestoreMembers > harness.MaxMembers {
		return fmt.Errorf("%d members to restore: a drill takes 1 to %d", s.RestoreMembers, harness.MaxMembers)
	}
	if s.RestoreMembers > 0 && !s.way().NeedsSource() {
		return fmt.Errorf("route %s keeps the members that there are; use --route restore or seed for another number of them", s.way())
	}
	if s.Keys < 1 || s.ValueBytes < 0 || s.Workers < 1 {
		return fmt.Errorf("%d keys of %d bytes by %d workers: a drill needs at least one key and one worker", s.Keys, s.ValueBytes, s.Workers)
	}
	if s.ValueBytes > 0 && s.ValueBytes < load.MinValueBytes {
		return fmt.Errorf("values of %d bytes: they begin with who wrote them, which takes %d; give --value-size more", s.ValueBytes,
			load.MinValueBytes)
	}
	if _, err := faults.Parse(s.Fault, s.Lose); err != nil {
		return err
	}
	if _, err := faults.ParseTarget(string(s.Lose)); err != nil {
		return err
	}
	if _, err := s.Lose.Size(s.Members); err != nil {
		return err
	}
	if s.Source != recovery.SavedSnapshot && s.Source != recovery.DBCopy {
		return fmt.Errorf("unknown source %q: choose %s or %s", s.Source, recovery.SavedSnapshot, recovery.DBCopy)
	}
	if s.Backup != Before && s.Backup != After {
		return fmt.Errorf("unknown time of backup %q: choose %s or %s", s.Backup, Before, After)
	}
	return nil
}

// checkBump refuses a bump that no recovery, or not this one, can make.
func (s Spec) checkBump() error {
	if err := recovery.CheckBump(s.BumpRevision, s.MarkCompacted); err != nil {
		return err
	}
	if s.BumpRevision > 0 && !s.way().NeedsSource() {
		return fmt.Errorf("the route %s restores nothing, and only a restore can bump the revision; use --route %s or %s",
			s.way(), recovery.RouteRestore, recovery.RouteSeed)
	}
	return nil
}

// way is the route, named or not.
func (s Spec) way() recovery.Route { return cmp.Or(s.Route, recovery.RouteRestore) }

// checkRoute refuses a route that this disaster closes.
func (s Spec) checkRoute() error {
	hit, err := s.Lose.Size(s.Members)
	if err != nil {
		return err
	}
	costsQuorum, wiped := s.Lose.CostsQuorum(s.Members), s.Fault == faults.NameWipe
	switch route := s.way(); {
	case !route.Known():
		return fmt.Errorf("unknown route %q: choose one of %v", s.Route, recovery.Routes())
	case route.NeedsSource():
		return s.checkSource()
	case route == recovery.RouteForce && hit == s.Members:
		return fmt.Errorf("with all %d members lost nobody is left to start with --force-new-cluster; "+
			"use --route restart where their data is left, or --route restore", s.Members)
	case route == recovery.RouteForce && !costsQuorum, route == recovery.RouteForce && s.Fault == "pause":
		return errors.New("--force-new-cluster throws every other member away, so it is for a lost quorum whose members are dead; " +
			"use --lose quorum and --fault kill, stop or wipe, or --route replace")
	case route == recovery.RouteReplace && costsQuorum:
		return fmt.Errorf("with %d of %d members lost the others cannot agree to replace one; use --lose tolerable, or --route restore",
			hit, s.Members)
	case route == recovery.RouteReplace && s.Fault == "pause":
		return errors.New("a paused member comes back by itself; use --fault kill, stop or wipe to replace one")
	case route == recovery.RouteRestart && (wiped || s.Fault == "pause"):
		return fmt.Errorf("members that were hit by %q cannot be started again on their data; use --fault kill or stop", s.Fault)
	}
	return nil
}

// checkSource refuses what has no source to recover from.
func (s Spec) checkSource() error {
	hit, err := s.Lose.Size(s.Members)
	if err != nil {
		return err
	}
	everybody := hit == s.Members
	if s.Source == recovery.DBCopy {
		if s.Backup == Before {
			return errors.New("a db copy is taken from a stopped or dead member, so not before the disaster; use --backup after")
		}
		if everybody && s.Fault == faults.NameWipe {
			return errors.New("all members wiped leave no database to copy; use --source snapshot --backup before")
		}
		return nil
	}
	if everybody && s.Backup == After {
		return fmt.Errorf("with all %d members lost nobody is left to save a snapshot from; "+
			"use --backup before, or --source db where data is left", s.Members)
	}
	return nil
}

// Fault returns the fault that the spec asks for.
func (s Spec) fault() (faults.Fault, error) { return faults.Parse(s.Fault, s.Lose) }

// The seed is split into independent streams, so that one more draw in one place changes nothing elsewhere.
const (
	streamVictims = 1
	streamBackup  = 2
)

func (s Spec) stream(n uint64) *rand.Rand { return rand.New(rand.NewPCG(s.Seed, n)) }
