package drill

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Preview is what a drill would do, computed without touching anything.
type Preview struct {
	Spec Spec `json:"spec"`
	// Victims names whom the seed chooses; empty if the leader is to be hit, who is known only when the fault strikes.
	Victims   []string `json:"victims,omitempty"`
	Survivors []string `json:"survivors,omitempty"`
	// Token is a fresh one, as the drill would draw; the drill itself draws another.
	Token     identity.Token     `json:"token"`
	ClusterID identity.ClusterID `json:"clusterID"`
	// Warnings are about what works and has a price.
	Warnings []string `json:"warnings,omitempty"`
	// Steps are the drill as a runbook that a person could type.
	Steps []Step `json:"steps"`
}

// Step is one step of a runbook.
type Step struct {
	Title    string   `json:"title"`
	Commands []string `json:"commands,omitempty"`
}

// Placeholders of a preview: what only the drill itself can know.
const (
	previewSource = "backup.db"
	previewDigest = "known when the source is there"
)

// NewPreview computes what a drill would do where members have these places. It touches nothing.
func NewPreview(spec Spec, places harness.Placer) (Preview, error) {
	if err := spec.Check(); err != nil {
		return Preview{}, err
	}
	places = spec.manner().Places(places)
	old, err := harness.NewLayout(places, spec.Members, identity.FreshToken())
	if err != nil {
		return Preview{}, err
	}
	p := Preview{Spec: spec, Token: identity.FreshToken()}
	if spec.Lose != faults.Leader {
		if p.Victims, err = spec.Lose.Choose(old.Names(), spec.stream(streamVictims)); err != nil {
			return Preview{}, err
		}
		p.Survivors = slices.DeleteFunc(old.Names(), func(name string) bool { return slices.Contains(p.Victims, name) })
	}
	plan, err := previewPlan(spec, places, old, p)
	if errors.Is(err, recovery.ErrVersionRefused) {
		err = fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if err != nil {
		return Preview{}, err
	}
	p.ClusterID, p.Warnings = plan.ClusterID, plan.Warnings
	r := runbook{spec: spec, places: places, old: old, preview: p, plan: plan}
	p.Steps, err = r.steps()
	return p, err
}

// previewPlan plans the way back as far as it can be known before. Whom the leader's loss hits, and which of several survivors
// holds the most, is not; the last of them stands for the best.
func previewPlan(spec Spec, places harness.Placer, old harness.Layout, p Preview) (recovery.Plan, error) {
	source := recovery.Source{
		Kind: spec.Source, Path: previewSource, SHA256: previewDigest, RestorePoint: 1, LastRecord: 1,
		StorageVersion: storageOf(spec.EtcdVersion),
	}
	opts, err := restoreOptions(spec, places, cmp.Or(spec.RestoreVersion, spec.EtcdVersion))
	if err != nil {
		return recovery.Plan{}, err
	}
	victims, survivors := p.Victims, p.Survivors
	if len(victims) == 0 {
		victims, survivors = old.Names()[:1], old.Names()[1:]
	}
	switch spec.way() {
	case recovery.RouteSeed:
		return recovery.NewSeedPlan(source, old, p.Token, opts...)
	case recovery.RouteForce:
		return recovery.NewForcePlan(old, survivors[len(survivors)-1], opts...)
	case recovery.RouteReplace:
		return recovery.NewReplacePlan(old, victims, opts...)
	case recovery.RouteRestart:
		return recovery.NewRestartPlan(old, victims, survivors, opts...)
	}
	return recovery.NewPlan(source, old, p.Token, opts...)
}

// runbook writes down a drill as steps.
type runbook struct {
	spec    Spec
	places  harness.Placer
	old     harness.Layout
	preview Preview
	plan    recovery.Plan
}

func (r runbook) steps() ([]Step, error) {
	begin, err := r.start(r.old, nil)
	if err != nil {
		return nil, err
	}
	middle, err := r.disaster()
	if err != nil {
		return nil, err
	}
	steps := []Step{{
		Title: fmt.Sprintf("start a cluster of %d%s and write %d keys of %d bytes",
			r.spec.Members, onEtcd(r.spec.EtcdVersion), r.spec.Keys, r.spec.ValueBytes),
		Commands: begin,
	}}
	if r.spec.Auth {
		onFirst, err := r.ctl(r.old.Seats[0].Name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, Step{
			Title: "switch authentication on; the common name of client.pem is root, because a login with a password needs the quorum",
			Commands: []string{
				onFirst + " user add root --interactive=false < password.txt", onFirst + " user grant-role root root", onFirst + " auth enable",
			},
		})
	}
	steps = append(steps, middle...)
	if r.plan.Route.NeedsSource() {
		steps = append(steps, Step{Title: "check the source", Commands: []string{"etcdutl snapshot status " + previewSource}})
	}
	back, err := r.wayBack()
	if err != nil {
		return nil, err
	}
	last := "prove every revision, the identity, and that an old member is fenced"
	if r.plan.Route.KeepsCluster() {
		last = "prove every revision, and that the cluster is still the old one; lost is " + r.plan.Route.Loses()
	}
	return append(append(steps, back...), Step{Title: last}), nil
}

// wayBack is the plan as steps.
func (r runbook) wayBack() ([]Step, error) {
	if r.plan.Route != recovery.RouteRestore {
		return []Step{{Title: fmt.Sprintf("%s; cluster %s", r.plan.Route.Text(), r.plan.ClusterID), Commands: r.plan.Commands()}}, nil
	}
	again, err := r.start(r.plan.Layout, restoredDir)
	if err != nil {
		return nil, err
	}
	return []Step{
		{Title: "restore every member from it, under a fresh token" + withEtcdutl(r.plan.Version), Commands: r.plan.Commands()},
		{Title: "start the new cluster " + r.plan.ClusterID.String() + onEtcd(r.plan.Version) + " on the new directories", Commands: again},
	}, nil
}

// disaster is the disaster and how the source is had, in the order in which the spec wants them.
func (r runbook) disaster() ([]Step, error) {
	victims := strings.Join(r.preview.Victims, " ")
	if victims == "" {
		victims = "the leader of the moment"
	}
	from := r.sourceMember()
	place, err := r.places.Place(from)
	if err != nil {
		return nil, err
	}
	ask, err := r.ctl(from)
	if err != nil {
		return nil, err
	}
	strike := Step{Title: fmt.Sprintf("%s %s; watch until the quorum is proved lost", r.spec.Fault, victims)}
	if !r.spec.Lose.CostsQuorum(r.spec.Members) {
		strike.Title = fmt.Sprintf("%s %s; watch whether the others go on", r.spec.Fault, victims)
	}
	for _, name := range r.preview.Victims {
		strike.Commands = append(strike.Commands, onHost(name, handOf(r.spec.Fault, name)))
	}
	stop := Step{Title: "stop every member that still runs"}
	for _, name := range r.preview.Survivors {
		stop.Commands = append(stop.Commands, onHost(name, handOf("stop", name)))
	}
	save := Step{
		Title:    "save a snapshot",
		Commands: []string{ask + " snapshot save " + previewSource},
	}
	fetch := Step{
		Title:    "copy the database of a member that is down",
		Commands: []string{onHost(from, "cp "+place.DataDir+"/member/snap/db "+previewSource)},
	}
	switch {
	case r.plan.Route == recovery.RouteForce:
		return []Step{strike, stop}, nil
	case !r.plan.Route.NeedsSource():
		return []Step{strike}, nil
	case r.spec.Source == recovery.DBCopy:
		return []Step{strike, stop, fetch}, nil
	case r.spec.Backup == Before:
		return []Step{save, strike, stop}, nil
	default:
		return []Step{strike, save, stop}, nil
	}
}

// ctl is the beginning of an etcdctl command that asks this member.
func (r runbook) ctl(member string) (string, error) {
	place, err := r.places.Place(member)
	return "etcdctl " + strings.Join(harness.CtlFlags(place), " "), err
}

// sourceMember names the member that the source would come from, as far as it can be known before.
func (r runbook) sourceMember() string {
	names := r.old.Names()
	if r.spec.Backup == Before {
		return names[r.spec.stream(streamBackup).IntN(len(names))]
	}
	if len(r.preview.Survivors) > 0 {
		names = r.preview.Survivors
	}
	return names[len(names)-1]
}

// start returns the command line of every member; dirs names other data directories than those of their places.
func (r runbook) start(layout harness.Layout, dirs func(member string) string) ([]string, error) {
	var lines []string
	for _, seat := range layout.Seats {
		place, err := r.places.Place(seat.Name)
		if err != nil {
			return nil, err
		}
		if dirs != nil {
			place.DataDir = dirs(seat.Name)
		}
		lines = append(lines, onHost(seat.Name, "etcd "+strings.Join(harness.Flags(layout, seat, place), " ")))
	}
	return lines, nil
}

// restoredDir is a new data directory beside the old one: etcdutl refuses one that is not empty, and the old one is still
// evidence.
func restoredDir(member string) string { return member + "-restored.etcd" }

func onHost(name, command string) string { return command + "  # on " + name }

// handOf is what a person types to do to a member what the fault does.
func handOf(fault, member string) string {
	signal := map[string]string{"stop": "TERM", "pause": "STOP"}[fault]
	if signal == "" {
		signal = "KILL"
	}
	command := "pkill -" + signal + " -x etcd"
	if fault == faults.NameWipe {
		command += " && rm -rf " + member + ".etcd"
	}
	return command
}

// onEtcd and withEtcdutl name a version in a title, if somebody asked for one.
func onEtcd(version string) string { return named(" on etcd ", version) }

func withEtcdutl(version string) string { return named(", with the etcdutl of etcd ", version) }

func named(words, version string) string {
	if version == "" {
		return ""
	}
	return words + version
}
