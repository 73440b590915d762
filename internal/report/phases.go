package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// phaseLines has one line for every phase that took place, in the order of the drill.
func (r Report) phaseLines() []string {
	lines := r.backupLines()
	for _, line := range []string{
		r.startLine(), r.loadLine(), r.disasterLine(), r.recoverLine(), r.rtoLine(),
		r.proofLine(), r.claimLine("manifest"), r.claimLine("living"), r.claimLine("age"), r.bumpLine(), r.stateLine(), r.watchLine(),
		r.fenceLine(),
	} {
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func (r Report) startLine() string {
	phase, ok := r.phase(PhaseStart)
	if !ok || r.Identity.OldCluster == 0 {
		return ""
	}
	ready := count(int64(r.Spec.Members), "member") + " ready"
	return row("start", ready, seconds(phase.Duration)+"  cluster "+r.Identity.OldCluster.String())
}

func (r Report) loadLine() string {
	phase, ok := r.phase(PhaseLoad)
	if !ok {
		return ""
	}
	note := seconds(phase.Duration)
	if r.Outage != nil && phase.StartedAt.Add(phase.Duration).After(r.Outage.SignalAt) {
		note += "  goes on through the disaster"
	}
	t := r.Verdict.Tally
	text := fmt.Sprintf("%d acknowledged, %d unknown, %d refused", t.Acknowledged, t.Unknown, t.Refused)
	return row("load", text, note)
}

func (r Report) disasterLine() string {
	phase, ok := r.phase(PhaseDisaster)
	if !ok || r.Outage == nil {
		return ""
	}
	o := *r.Outage
	text := strings.Join(o.Victims, " ") + " " + pastTense(o.Fault)
	switch {
	case len(o.Survivors) == 0:
		text += "; nobody left"
	case o.QuorumLost:
		text += "; " + strings.Join(o.Survivors, " ") + " without leader"
	default:
		text += "; " + strings.Join(o.Survivors, " ") + " untouched"
	}
	note := "quorum loss not proved: " + o.Reason
	if o.QuorumLost && len(o.Survivors) == 0 && o.Fault != "pause" {
		note = "exits seen, ports refuse" // which needs no time to be proved
	} else if o.QuorumLost {
		note = "proved for " + seconds(o.Observed)
	} else if o.Reason == "" {
		note = "quorum loss not proved"
	}
	return row("disaster", text, seconds(phase.Duration)+"  "+note)
}

// pastTense says what a fault did to its victims.
func pastTense(fault string) string {
	switch fault {
	case "kill":
		return "killed"
	case "stop":
		return "stopped"
	case "pause":
		return "paused"
	case "wipe":
		return "wiped"
	default:
		return "hit by " + fault
	}
}

func (r Report) recoverLine() string {
	if len(r.RTO.Parts) == 0 {
		return ""
	}
	var parts []string
	for _, part := range r.RTO.Parts {
		if part.Name != PartAgree {
			parts = append(parts, shortName(part.Name)+" "+tenths(part.Duration))
		}
	}
	if r.RTO.Gap >= 50*time.Millisecond {
		parts = append(parts, "between them "+tenths(r.RTO.Gap))
	}
	return row("recover", strings.Join(parts, " "), "")
}

// shortName is the part's name as the recover line has room for.
func shortName(part string) string {
	switch part {
	case PartFetch:
		return "fetch"
	case PartStop:
		return "stop"
	case PartFirstRead:
		return "read"
	case PartFirstWrite:
		return "write"
	default:
		return part
	}
}

func (r Report) rtoLine() string {
	if len(r.RTO.Parts) == 0 {
		return ""
	}
	text := "no write acknowledged by the new cluster"
	if r.RTO.Complete {
		since := "the signal"
		if r.Backup != nil {
			since = "the backup was taken up"
		}
		text = "first write " + seconds(r.RTO.Total) + " after " + since + ", without human time"
	}
	if agree, ok := r.RTO.part(PartAgree); ok {
		text += "; all members agree after " + seconds(agree.After+agree.Duration)
	}
	return row("rto", text, "")
}

func (r Report) proofLine() string {
	if _, ok := r.phase(PhaseProof); !ok {
		return ""
	}
	c := r.Verdict.Compared
	if c.Members == 0 {
		return row("proof", "nothing was compared", "")
	}
	if r.Backup != nil {
		return r.ownProof()
	}
	text := fmt.Sprintf("%d/%d members: %d revisions explained, %s phantom, %s torn, %s",
		c.Members, r.wantedMembers(), c.Revisions, r.findings(verify.Phantom), r.findings(verify.Torn), r.hashWord())
	if r.Spec.BumpRevision > 0 {
		text += "; history below the bump is compacted and was not read from members"
	}
	return row("proof", text, "")
}

// bumpLine shows what the judge says of a bump; the claim is there only where there was one.
func (r Report) bumpLine() string {
	for _, claim := range r.Verdict.Claims {
		if claim.Name == "bump" && claim.State != verify.LeftOut { // those are shown elsewhere
			return row("bump", claim.State+": "+claim.Text, "")
		}
	}
	return ""
}

// stateLine tells of what there is beside keys, watchLine of clients that watched through the disaster; both only where
// something was compared.
func (r Report) stateLine() string { return r.claimLine("state") }
func (r Report) watchLine() string { return r.claimLine("watch") }

// claimLine is the claim of this name; empty where a backup was refused, because the finding says all of it.
func (r Report) claimLine(name string) string {
	if r.Backup != nil && r.Plan == nil {
		return ""
	}
	for _, claim := range r.Verdict.Claims {
		switch {
		case claim.Name != name:
		case claim.State == verify.Sampled:
			return row(name, "sampled: "+claim.Text, "")
		case claim.State == verify.Proved, claim.State == verify.Disproved:
			return row(name, claim.Text, "")
		}
	}
	return ""
}

// findings counts the listed findings of a kind; where some are not listed the number is a lower bound, and says so.
func (r Report) findings(kind verify.Kind) string {
	n := 0
	for _, f := range r.Verdict.Findings {
		if f.Kind == kind {
			n++
		}
	}
	if r.Verdict.FindingCount > len(r.Verdict.Findings) {
		return fmt.Sprintf("at least %d", n)
	}
	return fmt.Sprint(n)
}

// hashWord tells whether the judge found the members' hashes equal to the source's.
func (r Report) hashWord() string {
	for _, claim := range r.Verdict.Claims {
		if claim.Name == "members" && (claim.State == verify.Proved || claim.State == verify.Sampled) {
			return "HashKV equal"
		}
	}
	return "HashKV not proved equal"
}

func (r Report) fenceLine() string {
	identity := r.identityText()
	if r.Fence == nil {
		if identity == "" {
			return ""
		}
		return row("identity", identity, "")
	}
	f := *r.Fence
	if f.Removed {
		text := fmt.Sprintf("old %s came back and still ran after %s", f.OldMember, seconds(f.Observed))
		if f.OldEnded {
			text = fmt.Sprintf("old %s came back, was told that it is removed, and ended after %s", f.OldMember, seconds(f.Observed))
		}
		return row("fence", text+"; "+r.identityText(), "")
	}
	text := fmt.Sprintf("old %s refused by %d/%d for %s", f.OldMember, refusals(f), len(f.Answers), seconds(f.Observed))
	if f.SizeOne {
		text = fmt.Sprintf("old %s comes up alone as %s: not fenced from clients", f.OldMember, f.OldAnsweredAs)
	}
	if f.SetAside {
		text += " (its directory was set aside before the wipe)"
	}
	if identity != "" {
		text += "; " + identity
	}
	return row("fence", text, "")
}

// preconditionFailed is the HTTP status with which etcd answers a peer of another cluster
// (server/etcdserver/api/rafthttp/http.go: checkClusterCompatibilityFromHeader).
const preconditionFailed = 412

// refusals counts the members that refused the old ID with 412 and did not refuse the new one.
func refusals(f verify.Fence) int {
	n := 0
	for _, a := range f.Answers {
		if a.ToOldID == preconditionFailed && a.ToNewID != 0 && a.ToNewID != preconditionFailed {
			n++
		}
	}
	return n
}

func (r Report) identityText() string {
	id := r.Identity
	switch {
	case id.NewCluster == 0:
		return ""
	case id.NewCluster == id.OldCluster:
		return "still the old cluster " + id.NewCluster.String()
	case id.NewCluster == id.PlannedCluster:
		return "new cluster " + id.NewCluster.String() + ", as planned"
	default:
		return fmt.Sprintf("new cluster %s, but %s was planned", id.NewCluster, id.PlannedCluster)
	}
}
