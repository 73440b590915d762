// Package report turns the outcome of a drill into text for people and JSON for programs.
//
// It is pure: it reads plain values and writes to an io.Writer. It judges nothing; the verdict is taken as it comes, and
// every sentence is computed from the values beside it. It knows neither etcd nor containers nor files.
package report

import (
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// SchemaVersion is the version of the JSON form of Report and Summary. It grows when a field is renamed, removed or changes
// its meaning; a new optional field leaves it as it is.
const SchemaVersion = 1

// Report is everything that a drill tells about itself.
type Report struct {
	SchemaVersion int    `json:"schemaVersion"` // SchemaVersion; Read refuses any other
	ToolVersion   string `json:"toolVersion"`   // of etcd-drill, for example "0.1.0"
	RunID         string `json:"runID"`
	// Seed fixes the operations of every worker and the victims. It is a string in JSON, because a float64 cannot hold every
	// uint64.
	Seed uint64 `json:"seed,string"`
	// Number and Of place the drill among those of its run, counted from 1.
	Number int `json:"number"`
	Of     int `json:"of"`
	// Title is the drill in one line, for example "3 members, quorum killed, snapshot saved from the survivor".
	Title string `json:"title"`
	// Folder is where the evidence lies, as a person would type it.
	Folder  string  `json:"folder"`
	Spec    Spec    `json:"spec"`
	Runtime Runtime `json:"runtime"`
	Phases  []Phase `json:"phases"`
	RTO     RTO     `json:"rto"`
	// Identity holds the IDs before the disaster, as planned, and after the recovery.
	Identity Identity `json:"identity"`
	// Plan, Outage and Fence are nil if the drill did not get that far or its route has none.
	Plan   *Plan          `json:"plan,omitempty"`
	Outage *verify.Outage `json:"outage,omitempty"`
	Fence  *verify.Fence  `json:"fence,omitempty"`
	// Backup is what was drilled, where that was somebody's own backup; nil otherwise. RTO then runs from the moment at which it was
	// taken up, without the time in which an etcd was made available.
	Backup *Backup `json:"backup,omitempty"`
	// Targets are what was demanded of the recovery, each with what became of it; empty if nothing was.
	Targets []Target `json:"targets,omitempty"`
	// Verdict is the judge's. If Failure is set it is inconclusive or empty.
	Verdict verify.Verdict `json:"verdict"`
	// Failure is the error that ended the drill before it could be judged; empty if there was none.
	Failure string `json:"failure,omitempty"`
	// Skipped names what this host could not do; Assumed what the verdict rests on without having been tested.
	Skipped []Skip   `json:"skipped"`
	Assumed []string `json:"assumed"`
}

// Spec echoes what was asked for, in the words of the command line.
type Spec struct {
	Members        int    `json:"members"`
	Lose           string `json:"lose"`   // "quorum", "tolerable", "all", "leader" or a number
	Fault          string `json:"fault"`  // "kill", "stop", "pause" or "wipe"
	Source         string `json:"source"` // "snapshot" or "db"
	Backup         string `json:"backup"` // "before" or "after" the disaster
	Route          string `json:"route,omitempty"`
	RestoreMembers int    `json:"restoreMembers,omitempty"` // 0 for as many as were lost
	Keys           int    `json:"keys"`
	ValueSizeBytes int    `json:"valueSizeBytes"`
	Workers        int    `json:"workers"`
	// BumpRevision is by how much the new cluster begins beyond its source; MarkCompacted goes with it.
	BumpRevision  uint64 `json:"bumpRevision,omitempty"`
	MarkCompacted bool   `json:"markCompacted,omitempty"`
}

// Runtime tells what ran the members and which etcd that was.
type Runtime struct {
	Name        string `json:"name"`             // "docker" or "process"
	Chosen      string `json:"chosen,omitempty"` // why it was this one; empty if somebody asked for it
	Engine      string `json:"engine"`           // for example "docker 28.2.2"
	EtcdVersion string `json:"etcdVersion"`      // as etcd itself printed it
	EtcdOrigin  string `json:"etcdOrigin"`       // where that etcd comes from, in a few words
	// RestoreVersion and RestoreOrigin are the same of the etcd of the restored cluster.
	RestoreVersion string `json:"restoreVersion,omitempty"`
	RestoreOrigin  string `json:"restoreOrigin,omitempty"`
}

// The names of the phases. Of the drill of a backup, PhaseTake is in which the backup is fetched and checked, and PhasePrepare in
// which an etcd for it is made available, which is no part of a recovery.
const (
	PhaseTake     = "take"
	PhasePrepare  = "prepare"
	PhaseStart    = "start"
	PhaseLoad     = "load"
	PhaseDisaster = "disaster"
	PhaseRecover  = "recover"
	PhaseProof    = "proof"
	PhaseFence    = "fence"
)

// Phase is one part of the drill. Phases are in order of their start and may overlap: the load goes on through the disaster.
type Phase struct {
	Name      string        `json:"name"`
	StartedAt time.Time     `json:"startedAt"`
	Duration  time.Duration `json:"durationNanoseconds"`
}

// Identity holds the IDs that tell whether the recovered cluster is the planned one, and a new one.
type Identity struct {
	OldCluster     identity.ClusterID           `json:"oldCluster,omitempty"`
	PlannedCluster identity.ClusterID           `json:"plannedCluster,omitempty"`
	NewCluster     identity.ClusterID           `json:"newCluster,omitempty"` // as the members reported it
	OldMembers     map[string]identity.MemberID `json:"oldMembers,omitempty"` // by name
	NewMembers     map[string]identity.MemberID `json:"newMembers,omitempty"` // by name, as reported
}

// Plan is the recovery in short. The runbook itself lies in plan.txt in the drill's folder.
type Plan struct {
	Route        string         `json:"route"`           // for example "restore every member from a saved snapshot"
	Loses        string         `json:"loses,omitempty"` // which acknowledged writes the route costs, in words
	Token        identity.Token `json:"token"`
	SourceSHA256 string         `json:"sourceSHA256"`
	HashChecked  bool           `json:"hashChecked"` // false for a db copy, which carries no hash
	Commands     []string       `json:"commands"`    // as a person would type them
	// Version is the version of etcd that it is for, Etcdutl that of the etcdutl that followed it.
	Version string `json:"version,omitempty"`
	Etcdutl string `json:"etcdutl,omitempty"`
	// Warnings are about what works and has a price.
	Warnings []string `json:"warnings,omitempty"`
}

// Skip names something that was left out because the host cannot do it.
type Skip struct {
	Ability string `json:"ability"`
	Reason  string `json:"reason"`
}

// phase finds a phase by name.
func (r Report) phase(name string) (Phase, bool) {
	for _, p := range r.Phases {
		if p.Name == name {
			return p, true
		}
	}
	return Phase{}, false
}

// outcome is the verdict's, or inconclusive where the drill never got one.
func (r Report) outcome() verify.Outcome {
	if r.Verdict.Outcome == "" || (r.Failure != "" && r.Verdict.Outcome == verify.Intact) {
		return verify.Inconclusive
	}
	return r.Verdict.Outcome
}
