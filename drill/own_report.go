package drill

import (
	"fmt"
	"strings"

	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// describeOwn adds what is known of the backup, as far as the drill got with it.
func (d *Drill) describeOwn(out *report.Report) {
	r, s, c := d.own.received, d.own.source, d.own.contents
	out.Backup = &report.Backup{
		Given: d.spec.Own.File, Form: string(r.Form), Packing: r.Packing, Inside: r.Inside, Modified: r.Modified,
		SizeBytes: s.SizeBytes, SHA256: s.SHA256, Hashed: s.Kind == recovery.SavedSnapshot,
		RestorePoint: s.RestorePoint, Compacted: s.Compacted, Keys: s.Keys, Records: s.Records, Leases: c.Leases,
		StorageVersion: s.StorageVersion, HashKV: c.HashKV, Warnings: s.Warnings,
	}
	out.Backup.Taken = d.taken()
	if d.own.living != nil {
		out.Backup.Given, out.Identity.OldCluster = d.own.living.from.Endpoint, d.own.living.from.Cluster
	}
	out.RTO = d.events.ownRecovery()
	out.Spec = report.Spec{
		Members: d.spec.Members, Source: string(s.Kind), Route: string(d.spec.way()),
		BumpRevision: d.spec.BumpRevision, MarkCompacted: d.spec.MarkCompacted,
	}
	if !d.events.at(EventPlanned).IsZero() { // otherwise nothing was restored, and nothing is back
		out.Backup.NotCarried = d.notCarried()
	}
	if k := c.Kubernetes; k != nil {
		out.Backup.Kubernetes, out.Backup.Advice = objectsOf(k), d.adviceFor(k)
	}
	out.Phases = append(d.events.ownPhases(), out.Phases...)
}

// ownPhases are those of the drill of a backup up to its restore.
func (e *events) ownPhases() []report.Phase {
	phases := []report.Phase{}
	for _, bounds := range []struct {
		name     string
		from, to EventName
	}{
		{report.PhaseTake, EventSaving, EventChecked},
		{report.PhasePrepare, EventChecked, EventPlanned},
		{report.PhaseRecover, EventPlanned, EventAgreed},
	} {
		from, to := e.at(bounds.from), e.at(bounds.to)
		if !from.IsZero() && !to.IsZero() {
			phases = append(phases, report.Phase{Name: bounds.name, StartedAt: from, Duration: to.Sub(from)})
		}
	}
	return phases
}

func objectsOf(k *recovery.Kubernetes) *report.Kubernetes {
	out := &report.Kubernetes{Objects: k.Objects, Resources: []report.Resource{}}
	for _, r := range k.Resources {
		out.Resources = append(out.Resources, report.Resource(r))
	}
	return out
}

// adviceFor says what a restored API server needs beside its data.
func (d *Drill) adviceFor(k *recovery.Kubernetes) []string {
	var advice []string
	if k.Encrypted() > 0 {
		var of []string
		for _, r := range k.Resources {
			if r.Encrypted > 0 {
				of = append(of, fmt.Sprintf("%d of %d %s (%s)", r.Encrypted, r.Objects, r.Name, strings.Join(r.Providers, ", ")))
			}
		}
		advice = append(advice, fmt.Sprintf("you also need the key: encrypted at rest are %s; without the API server's "+
			"EncryptionConfiguration they come back and nobody can read them", strings.Join(of, ", ")))
	}
	switch n := d.spec.BumpRevision; {
	case n > 0 && n < usualBump:
		advice = append(advice, fmt.Sprintf(
			"bump by more: %d is enough only if fewer revisions were written after the backup; %d is usual", n, usualBump))
	case n == 0:
		advice = append(advice, "bump the revision: kubelets and controllers go on watching from revisions that they have seen, "+
			"and after a plain restore hear nothing until the new cluster passes them; "+
			fmt.Sprintf("drill it with --bump-revision %d --mark-compacted", usualBump))
	}
	return advice
}

// usualBump is more than any cluster writes between two backups.
const usualBump = 1_000_000_000

// notCarried says what no restore of this backup brings back.
func (d *Drill) notCarried() []string {
	r, s, c := d.own.received, d.own.source, d.own.contents
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	say("writes after the backup")
	if n := d.behindOthers(); n > 0 {
		say("%d revisions that another member of the living cluster had, and the one that was saved from had not", n)
	}
	switch {
	case r.Log != nil && r.Log.Behind.Writes > 0:
		say("up to %d writes that only the write-ahead log beside the database holds; a restart on the whole directory has them",
			r.Log.Behind.Writes)
	case s.Kind == recovery.DBCopy && r.Log == nil:
		say("writes that the member had not flushed into its database when it was copied: " +
			"those of its last 100 ms, or more if it was killed under load")
	}
	if n := len(s.MemberIDs); n > 0 {
		say("the member list: the %d of the backup make way for the %d of the plan", n, d.spec.Members)
	}
	switch {
	case c.Leases == 1:
		say("what was left of 1 lease: it begins anew with the time that was granted")
	case c.Leases > 1:
		say("what was left of %d leases: each begins anew with the time that was granted", c.Leases)
	}
	if s.AuthEnabled {
		say("tokens of clients that had logged in: each must log in again")
	}
	return all
}

// ownRecovery returns the parts of the recovery of a backup. An etcd is made available after the backup was checked, because it
// decides which; that is no part of a recovery, so what comes before is moved up to what comes after.
func (e *events) ownRecovery() report.RTO {
	began, checked, planned := e.at(EventSaving), e.at(EventChecked), e.at(EventPlanned)
	if began.IsZero() || planned.IsZero() {
		return report.RTO{}
	}
	shift := planned.Sub(checked)
	var steps []report.Step
	for _, bounds := range partBounds() {
		from, to := e.at(bounds.from), e.at(bounds.to)
		if from.IsZero() || to.IsZero() {
			continue
		}
		if to.Before(planned) {
			from, to = from.Add(shift), to.Add(shift)
		}
		steps = append(steps, report.Step{Name: bounds.part, From: from, To: to})
	}
	return report.NewRTO(began.Add(shift), steps)
}
