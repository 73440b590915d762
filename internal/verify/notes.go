package verify

import "fmt"

// The claims of a verdict, in the order of their lines.
const (
	claimOutage    = "outage"
	claimPrefix    = "prefix"
	claimSource    = "source" // of a drill without a ledger; what is found against it is noted under the prefix
	claimManifest  = "manifest"
	claimLiving    = "living"
	claimFreshness = "age"
	claimMembers   = "members"
	claimBump      = "bump"
	claimIdentity  = "identity"
	claimFence     = "fence"
	claimState     = "state"
	claimWatch     = "watch"
	claimCanary    = "canary"
	claimNone      = "" // for demands on the drill as a whole, which leave every claim as it is
)

// notes collects findings and remembers what they mean for each claim.
type notes struct {
	findings []Finding
	hazards  []Finding
	count    int
	damage   map[string]int       // by claim
	doubt    map[string]string    // by claim: the first reason for which it could not be judged
	kinds    map[kindOfClaim]int  // how many of a kind under a claim
	sampled  map[string]struct{}  // claims of which only a part was held against the evidence
	against  map[string]struct{}  // members against which something was found in their data
	outcomes map[Outcome]struct{} // that any finding asks for
}

type kindOfClaim struct {
	claim string
	kind  Kind
}

func newNotes() *notes {
	return &notes{
		damage:   make(map[string]int),
		doubt:    make(map[string]string),
		kinds:    make(map[kindOfClaim]int),
		sampled:  make(map[string]struct{}),
		against:  make(map[string]struct{}),
		outcomes: make(map[Outcome]struct{}),
	}
}

// damaged notes a disagreement that damages the claim. The text is for people: what was expected, what was found.
func (n *notes) damaged(claim string, f Finding, format string, args ...any) {
	f.Outcome = Damaged
	n.damage[claim]++
	if claim == claimMembers && f.Member != "" {
		n.against[f.Member] = struct{}{}
	}
	n.add(claim, f, format, args)
}

// doubted notes a reason for which the claim cannot be judged.
func (n *notes) doubted(claim string, f Finding, format string, args ...any) {
	f.Outcome = Inconclusive
	if n.doubt[claim] == "" {
		n.doubt[claim] = fmt.Sprintf(format, args...)
	}
	n.add(claim, f, format, args)
}

// sampledOnly notes that only a part of the claim was held against the evidence, as its text must say.
func (n *notes) sampledOnly(claim string) { n.sampled[claim] = struct{}{} }

// hazard notes a danger that the evidence proves and that is no disagreement: the verdict stays as it is.
func (n *notes) hazard(format string, args ...any) {
	n.hazards = append(n.hazards, Finding{Kind: Hazard, Outcome: Intact, Text: fmt.Sprintf(format, args...)})
}

func (n *notes) add(claim string, f Finding, format string, args []any) {
	n.count++
	n.kinds[kindOfClaim{claim, f.Kind}]++
	n.outcomes[f.Outcome] = struct{}{}
	if len(n.findings) < MaxFindings {
		f.Text = fmt.Sprintf(format, args...)
		n.findings = append(n.findings, f)
	}
}

func (n *notes) has(outcome Outcome) bool {
	_, found := n.outcomes[outcome]
	return found
}

// claim makes one line: text if nothing was found against it, else the state and reason that follow from what was.
func (n *notes) claim(name, text string) Claim {
	_, sampled := n.sampled[name]
	switch {
	case n.damage[name] > 0:
		return Claim{Name: name, State: Disproved, Text: text}
	case n.doubt[name] != "":
		return Claim{Name: name, State: LeftOut, Text: n.doubt[name]}
	case sampled:
		return Claim{Name: name, State: Sampled, Text: text}
	default:
		return Claim{Name: name, State: Proved, Text: text}
	}
}
