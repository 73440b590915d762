package report_test

import (
	"fmt"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// noon is when every sample drill begins.
func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC) }

// signalAt is when the first victim of every sample drill is hit.
func signalAt() time.Time { return noon().Add(5 * time.Second) }

// intactDrill is a drill that lost nothing.
func intactDrill() report.Report {
	return report.Report{
		SchemaVersion: report.SchemaVersion,
		ToolVersion:   "0.1.0",
		RunID:         "7f3c2a",
		Seed:          1<<63 + 1, // greater than what a float64 holds
		Number:        1,
		Of:            2,
		Title:         "3 members, quorum killed, snapshot saved from the survivor",
		Folder:        ".drill/7f3c2a-1",
		Spec: report.Spec{
			Members: 3, Lose: "quorum", Fault: "kill", Source: "snapshot", Backup: "after", Keys: 10000, ValueSizeBytes: 256, Workers: 64,
		},
		Runtime: report.Runtime{
			Name: "docker", Chosen: "docker, since an engine answers; plain processes instead: --runtime process",
			Engine: "docker 28.2", EtcdVersion: "3.7.3",
			EtcdOrigin: "registry out of reach; built from module source in 1m52s (cached)",
		},
		Phases:   phases(),
		RTO:      report.NewRTO(signalAt(), steps()),
		Identity: identities(),
		Plan: &report.Plan{
			Route: "restore every member from a saved snapshot", Token: "drill-00ff", SourceSHA256: "c0ffee", HashChecked: true,
			Commands: []string{"etcdutl snapshot restore snapshot.db --name m1"},
		},
		Outage:  killed(),
		Fence:   held(),
		Verdict: intact(),
		Skipped: []report.Skip{},
		Assumed: []string{},
	}
}

func phases() []report.Phase {
	return []report.Phase{
		{Name: report.PhaseStart, StartedAt: noon(), Duration: 3100 * time.Millisecond},
		{Name: report.PhaseLoad, StartedAt: noon().Add(3100 * time.Millisecond), Duration: 2600 * time.Millisecond},
		{Name: report.PhaseDisaster, StartedAt: signalAt(), Duration: 3200 * time.Millisecond},
		{Name: report.PhaseRecover, StartedAt: signalAt().Add(3200 * time.Millisecond), Duration: 1900 * time.Millisecond},
		{Name: report.PhaseProof, StartedAt: noon().Add(11 * time.Second), Duration: time.Second},
		{Name: report.PhaseFence, StartedAt: noon().Add(12 * time.Second), Duration: 2 * time.Second},
	}
}

// steps are parts that follow one another without a gap but for the 200 ms before the election.
func steps() []report.Step {
	var out []report.Step
	at := signalAt()
	for _, part := range []struct {
		name         string
		tenths, wait time.Duration
	}{
		{report.PartDetect, 32, 0},
		{report.PartFetch, 1, 0},
		{report.PartCheck, 1, 0},
		{report.PartStop, 2, 0},
		{report.PartRestore, 2, 0},
		{report.PartStart, 8, 0},
		{report.PartElect, 5, 2},
		{report.PartFirstRead, 0, 0},
		{report.PartFirstWrite, 0, 0},
		{report.PartAgree, 3, 0},
	} {
		at = at.Add(part.wait * 100 * time.Millisecond)
		end := at.Add(part.tenths * 100 * time.Millisecond)
		out = append(out, report.Step{Name: part.name, From: at, To: end})
		at = end
	}
	return out
}

func identities() report.Identity {
	return report.Identity{
		OldCluster:     0x16a2d2b391eb30f9,
		PlannedCluster: 0xe66a59635c8432a,
		NewCluster:     0xe66a59635c8432a,
		OldMembers:     map[string]identity.MemberID{"m1": 1, "m2": 2, "m3": 3},
		NewMembers:     map[string]identity.MemberID{"m1": 4, "m2": 5, "m3": 6},
	}
}

func killed() *verify.Outage {
	return &verify.Outage{
		Fault: "kill", Victims: []string{"m1", "m2"}, Survivors: []string{"m3"},
		SignalAt: signalAt(), QuorumLost: true, Observed: 3 * time.Second,
	}
}

func held() *verify.Fence {
	fence := verify.Fence{OldMember: "m1", Observed: 2 * time.Second}
	for _, name := range []string{"m1", "m2", "m3"} {
		fence.Answers = append(fence.Answers, verify.FenceAnswer{Member: name, ToOldID: 412, ToNewID: 200, Unchanged: true})
	}
	return &fence
}

func intact() verify.Verdict {
	return verify.Verdict{
		Outcome:      verify.Intact,
		Findings:     []verify.Finding{},
		RestorePoint: 10215,
		Tally:        verify.Tally{Acknowledged: 10214, Unknown: 12, UnknownSeen: 1},
		Compared:     verify.Compared{Revisions: 10214, Keys: 9000, Leases: 81, Members: 3},
		Claims: []verify.Claim{
			{Name: "members", State: "proved", Text: "3 members show the source's history, keyspace and HashKV"},
			{Name: "fence", State: "proved", Text: "the old member stayed alone"},
			{Name: "watch", State: "proved", Text: "4 clients watched through the disaster; 4 were told of every change"},
			{Name: "state", State: "proved", Text: "3/3 members: 81 leases with 116 keys, auth off, as in the source"},
		},
	}
}

// lossyDrill is intact up to its restore point, and lost what came after; nobody survived.
func lossyDrill() report.Report {
	r := intactDrill()
	r.Number, r.Title, r.Folder = 2, "3 members, all killed, db copy of m3, hash check skipped", ".drill/7f3c2a-2"
	r.Spec.Lose, r.Spec.Source = "all", "db"
	r.Outage.Victims, r.Outage.Survivors = []string{"m1", "m2", "m3"}, nil
	r.Plan.HashChecked = false
	r.Verdict.RestorePoint = 10107
	r.Verdict.Loss = verify.Loss{
		Writes: 94, Revisions: 94, Window: 90 * time.Millisecond,
		Resurrected: 7, ResurrectedKeys: []ledger.Key{"a", "b", "c", "d", "e", "f", "g"},
	}
	r.Verdict.Hazards = []verify.Finding{{Kind: verify.Hazard, Outcome: verify.Intact, Text: "the source carries alarm NOSPACE of member 1"}}
	r.Skipped = []report.Skip{{Ability: "freeze", Reason: "the engine has no freezer cgroup"}}
	r.Assumed = []string{"the containers have no way out of the engine"}
	return r
}

// damagedDrill has more findings than the text lists, and a key that would control a terminal.
func damagedDrill() report.Report {
	r := intactDrill()
	r.Verdict.Outcome = verify.Damaged
	r.Verdict.FindingCount = 50
	for i := range 25 {
		r.Verdict.Findings = append(r.Verdict.Findings, verify.Finding{
			Kind: verify.Missing, Outcome: verify.Damaged, Member: "m2",
			Key: ledger.Key(fmt.Sprintf("w1/%d\x1b[2J", i)), Revision: int64(100 + i),
			Text: "acknowledged, but not there\x1b[2J\nINTACT",
		})
	}
	r.Verdict.Findings[3].Kind = verify.Phantom
	r.Verdict.Claims[0].State = "disproved"
	r.Fence.Answers[2].ToOldID = 200
	r.Identity.PlannedCluster = 0xabc
	return r
}

// failedDrill ended before anything could be judged.
func failedDrill() report.Report {
	r := intactDrill()
	r.Phases, r.RTO, r.Identity = r.Phases[:1], report.RTO{Parts: []report.Part{}}, report.Identity{}
	r.Plan, r.Outage, r.Fence, r.Verdict = nil, nil, nil, verify.Verdict{Findings: []verify.Finding{}}
	r.Failure = "start 3 members: await m2 answers: context deadline exceeded"
	return r
}

// loneDrill is a cluster of one: nothing fences its old member from clients, and quorum was kept.
func loneDrill() report.Report {
	r := intactDrill()
	r.Title, r.Spec.Members, r.Spec.Lose = "1 member, killed, snapshot saved before", 1, "1"
	r.Fence = &verify.Fence{OldMember: "m1", SizeOne: true, SetAside: true, OldAnsweredAs: 0x16a2d2b391eb30f9}
	r.Outage = &verify.Outage{Fault: "pause", Victims: []string{"m1"}, Survivors: []string{"m2"}, Reason: "m2 still leads"}
	r.RTO = report.NewRTO(signalAt(), steps()[:3])
	r.Verdict.Compared.Members = 0
	r.Verdict.Claims = []verify.Claim{
		{Name: "canary", State: "assumed", Text: "the write stays"}, {Name: "fence", State: "left out", Text: "only one member"},
	}
	return r
}
