// Package matchers holds Gomega matchers for what a drill returns. Their failure messages say what was seen, so that a
// failed spec can be understood without the folder of its drill. Only tests import it.
package matchers

import (
	"fmt"
	"strings"
	"time"

	"github.com/onsi/gomega/types"

	"github.com/etcd-drill/etcd-drill/drill"
)

// HaveLostQuorum succeeds on a *drill.Outage of which the loss of quorum was observed for as long as a proof takes. That
// more members were hit than the quorum can spare is not enough.
func HaveLostQuorum() types.GomegaMatcher { return quorum{name: "HaveLostQuorum", lost: true} }

// HaveKeptQuorum succeeds on a *drill.Outage that was observed to leave the quorum alive: a survivor answered a linearizable
// read. That no loss was proved is not enough.
func HaveKeptQuorum() types.GomegaMatcher { return quorum{name: "HaveKeptQuorum"} }

type quorum struct {
	name string
	lost bool
}

// Match implements types.GomegaMatcher.
func (q quorum) Match(actual any) (bool, error) {
	outage, ok := actual.(*drill.Outage)
	if !ok || outage == nil || outage.Outage == nil {
		return false, fmt.Errorf("%s takes the *drill.Outage that Strike returns, and was given %s", q.name, given(actual))
	}
	if q.lost {
		return outage.LostQuorum(), nil
	}
	return !outage.LostQuorum() && outage.Proof.Reason != "", nil
}

// FailureMessage implements types.GomegaMatcher.
func (q quorum) FailureMessage(actual any) string { return q.message(actual, "to be ") }

// NegatedFailureMessage implements types.GomegaMatcher.
func (q quorum) NegatedFailureMessage(actual any) string { return q.message(actual, "not to be ") }

func (q quorum) message(actual any, wanted string) string {
	state := "kept"
	if q.lost {
		state = "lost"
	}
	return fmt.Sprintf("Expected the quorum %s%s.\n%s", wanted, state, indent(describe(actual.(*drill.Outage))))
}

// describe says what the outage showed.
func describe(o *drill.Outage) string {
	lines := []string{
		fmt.Sprintf("fault      %s, %s", o.Fault, o.Target),
		"victims    " + names(o.Victims),
		"survivors  " + names(o.Survivors),
	}
	switch {
	case o.LostQuorum() && len(o.Survivors) == 0:
		lines = append(lines, "seen       the quorum is lost: nobody is left to answer")
	case o.LostQuorum():
		lines = append(lines, fmt.Sprintf("seen       the quorum is lost: no leader for %s, %d linearizable reads unanswered",
			o.Proof.Observed().Round(time.Millisecond), o.Proof.Reads))
	case o.Proof.Reason == "":
		lines = append(lines, "seen       the quorum was not proved lost, for no reason that was noted")
	default:
		lines = append(lines, "seen       the quorum is kept: "+o.Proof.Reason)
	}
	return strings.Join(lines, "\n")
}

func names(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, " ")
}

func given(actual any) string {
	if actual == nil {
		return "nil"
	}
	return fmt.Sprintf("a %T: %+v", actual, actual)
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }
