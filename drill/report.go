package drill

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// report tells what the drill has come to, as far as it got, held against its goals.
func (d *Drill) report(r rehearsal, failure error) report.Report {
	return d.describe(r, failure).Hold(d.opts.Goals)
}

func (d *Drill) describe(r rehearsal, failure error) report.Report {
	p := r.proof
	out := report.Report{
		SchemaVersion: report.SchemaVersion, ToolVersion: d.opts.Tool, Seed: d.spec.Seed,
		Number: max(d.opts.Number, 1), Of: max(d.opts.Of, 1), Title: d.spec.Title(), Folder: string(d.folder),
		Spec: report.Spec{
			Members: d.spec.Members, Lose: string(d.spec.Lose), Fault: d.spec.Fault, Source: string(d.spec.Source),
			Backup: string(d.spec.Backup), Route: string(d.spec.way()),
			RestoreMembers: d.spec.RestoreMembers, Keys: d.spec.Keys, ValueSizeBytes: d.spec.ValueBytes, Workers: d.spec.Workers,
			BumpRevision: d.spec.BumpRevision, MarkCompacted: d.spec.MarkCompacted,
		},
		Runtime: report.Runtime{
			Chosen: d.opts.Chosen, Engine: d.prepared.Engine, EtcdVersion: d.prepared.Version, EtcdOrigin: d.prepared.Origin,
			RestoreVersion: d.versions.restoring.Version, RestoreOrigin: d.versions.restoring.Origin,
		},
		Phases: d.events.phases(), RTO: d.events.recovery(), Verdict: r.verdict,
		Skipped: []report.Skip{}, Assumed: []string{},
	}
	if d.opts.Runtime != nil {
		out.Runtime.Name = d.opts.Runtime.Name()
	}
	if d.run != nil {
		out.RunID = d.run.ID()
	}
	if failure != nil {
		out.Failure = failure.Error()
	}
	if site, ok := d.site.(harness.Assumer); ok {
		out.Assumed = append(out.Assumed, site.Assumed()...)
	}
	if d.versions.assumed != "" {
		out.Assumed = append(out.Assumed, d.versions.assumed)
	}
	if d.own != nil {
		d.describeOwn(&out)
	}
	if p.Outage != nil {
		outage := outageEvidence(p.Outage)
		out.Outage = &outage
		out.Identity.OldCluster = p.Outage.cluster.ID()
		out.Identity.OldMembers = map[string]identity.MemberID{}
		for _, m := range p.Outage.cluster.Members() {
			out.Identity.OldMembers[m.Name()] = m.ID()
		}
	}
	if p.Outage != nil && !p.Outage.LostQuorum() {
		out.RTO = report.RTO{} // the cluster never stopped serving, so there was nothing to come back from
	}
	if p.Plan.ClusterID != 0 {
		out.Plan = planReport(p.Plan)
		out.Identity.PlannedCluster = p.Plan.ClusterID
		if p.Reborn != nil {
			out.Plan.Etcdutl = p.Reborn.Restored.Etcdutl
		}
	}
	if r.verdict.Outcome != "" {
		d.addEvidence(&out)
		return out
	}
	for _, l := range d.loads { // what was written is known, although nobody judged it
		t := l.book.Tally
		out.Verdict.Tally = verify.Tally{Acknowledged: t.Acknowledged, Refused: t.Refused, Unknown: t.Unknown}
	}
	return out
}

// addEvidence adds what the members of the new cluster showed, from the folder: the report says what was judged.
func (d *Drill) addEvidence(out *report.Report) {
	var s stored
	if err := readJSON(d.folder.evidence(), &s); d.own != nil && errors.Is(err, fs.ErrNotExist) {
		return // the backup was refused, so no member showed anything
	} else if err != nil {
		out.Assumed = append(out.Assumed, err.Error())
		return
	}
	if out.Fence = s.Fence; s.Fence != nil && s.Fence.SetAside {
		out.Assumed = append(out.Assumed, "a directory that was copied before the wipe stands for an old member that comes back")
	}
	out.Identity.OldCluster = s.Identity.OldCluster
	out.Identity.NewMembers = map[string]identity.MemberID{}
	for _, m := range s.Reborn {
		out.Identity.NewCluster = m.ClusterID
		out.Identity.NewMembers[m.Name] = m.ID
	}
}

func planReport(p recovery.Plan) *report.Plan {
	route := p.Route.Text()
	if p.Route == recovery.RouteRestore {
		route = "restore every member from a saved snapshot"
		if p.Source.Kind == recovery.DBCopy {
			route = "restore every member from a db copy, hash check skipped"
		}
	}
	return &report.Plan{
		Route: route, Loses: p.Route.Loses(), Token: p.Layout.Token, SourceSHA256: p.Source.SHA256,
		HashChecked: p.Source.Kind == recovery.SavedSnapshot, Commands: p.Commands(),
		Version: p.Version, Warnings: p.Warnings,
	}
}

// NotBegun is the report of a drill that was wanted and of which nothing was made, for this reason. Of the options it takes
// what is for the report only.
func NotBegun(spec Spec, opts Options, reason error) report.Report {
	d := &Drill{spec: spec, opts: opts, events: &events{}}
	return d.report(rehearsal{}, reason)
}

// Title says in one line what the spec rehearses.
func (s Spec) Title() string {
	if s.Own != nil {
		return s.Own.title(s)
	}
	done := map[string]string{"kill": "killed", "stop": "stopped", "pause": "paused", "wipe": "wiped"}[s.Fault]
	source := "snapshot saved from a survivor"
	switch {
	case !s.way().NeedsSource():
		source = s.titleOfRoute()
	case s.Source == recovery.DBCopy:
		source = "db copy, hash check skipped"
	case s.Backup == Before:
		source = "snapshot saved before"
	}
	if s.way() == recovery.RouteSeed {
		source += ", one member restored and the others added"
	}
	if s.RestoreVersion != "" && s.RestoreVersion != s.EtcdVersion {
		source += ", restored on etcd " + s.RestoreVersion
	}
	if s.RestoreMembers > 0 && s.RestoreMembers != s.Members {
		source += fmt.Sprintf(", back as %d", s.RestoreMembers)
	}
	if s.BumpRevision > 0 {
		source += fmt.Sprintf(", revision bumped by %d", s.BumpRevision)
	}
	source += s.manned()
	if s.Members == 1 {
		return fmt.Sprintf("1 member, %s, %s", done, source)
	}
	who := string(s.Lose)
	if s.Lose == faults.Tolerable {
		who = fmt.Sprint(harness.TolerableLoss(s.Members))
	}
	return fmt.Sprintf("%d members, %s %s, %s", s.Members, who, done, source)
}

// recovery returns the parts of a recovery as the event log bounds them. A snapshot is fetched before the survivors are stopped, a
// db copy after; sorting by time puts them in order.
func (e *events) recovery() report.RTO {
	signal := e.at(EventSignalled)
	if signal.IsZero() {
		return report.RTO{}
	}
	var steps []report.Step
	for _, bounds := range partBounds() {
		from, to := e.at(bounds.from), e.at(bounds.to)
		if bounds.part == report.PartStart && from.IsZero() {
			from = e.at(EventPlanned) // a route without a restore
		}
		if !from.Before(signal) && !to.IsZero() {
			steps = append(steps, report.Step{Name: bounds.part, From: from, To: to})
		}
	}
	slices.SortStableFunc(steps, func(a, b report.Step) int { return a.From.Compare(b.From) })
	return report.NewRTO(signal, steps)
}

// bounds are the moments between which a part of the recovery lies.
type bounds struct {
	part     string
	from, to EventName
}

func partBounds() []bounds {
	return []bounds{
		{report.PartDetect, EventSignalled, EventObserved},
		{report.PartFetch, EventSaving, EventFetched},
		{report.PartCheck, EventFetched, EventChecked},
		{report.PartStop, EventStopping, EventAllDown},
		{report.PartRestore, EventPlanned, EventRestored},
		{report.PartStart, EventRestored, EventStarted},
		{report.PartElect, EventStarted, EventElected},
		{report.PartFirstRead, EventElected, EventRead},
		{report.PartFirstWrite, EventRead, EventWritten},
		{report.PartAgree, EventWritten, EventAgreed},
	}
}

func (e *events) phases() []report.Phase {
	phases := []report.Phase{}
	for _, bounds := range []struct {
		name     string
		from, to EventName
	}{
		{report.PhaseStart, EventStarting, EventReady},
		{report.PhaseLoad, EventLoading, EventLoadStopped},
		{report.PhaseDisaster, EventSignalled, EventObserved},
		{report.PhaseRecover, EventObserved, EventAgreed},
		{report.PhaseProof, EventAgreed, EventJudged},
		{report.PhaseFence, EventFencing, EventFenced},
	} {
		from, to := e.at(bounds.from), e.at(bounds.to)
		if !from.IsZero() && !to.IsZero() {
			phases = append(phases, report.Phase{Name: bounds.name, StartedAt: from, Duration: to.Sub(from)})
		}
	}
	return phases
}

func (f folder) exists() bool {
	_, err := os.Stat(string(f))
	return err == nil
}
