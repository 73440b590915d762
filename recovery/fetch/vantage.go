package fetch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// Vantage is what one endpoint says of itself.
type Vantage struct {
	Endpoint string             `json:"endpoint"`
	Name     string             `json:"name,omitempty"` // of the member, from the member list
	Member   identity.MemberID  `json:"member"`
	Cluster  identity.ClusterID `json:"cluster"`
	Leader   bool               `json:"leader,omitempty"`
	Learner  bool               `json:"learner,omitempty"`
	// Led tells whether it knows a leader. Errors are what it complains of itself: alarms, a leader that it lost.
	Led      bool     `json:"led"`
	Errors   []string `json:"errors,omitempty"`
	Version  string   `json:"version,omitempty"`
	Revision int64    `json:"revision"`
	Applied  uint64   `json:"applied"` // raft index
	DBBytes  int64    `json:"dbBytes"`
	// Fault says why it could not be asked; all but Endpoint is then empty.
	Fault string `json:"fault,omitempty"`
}

// healthy tells whether nothing speaks against saving from it.
func (v Vantage) healthy() bool { return v.Fault == "" && v.Led && len(v.Errors) == 0 }

// called is what a person calls the member.
func (v Vantage) called() string {
	if v.Name == "" {
		return v.Endpoint
	}
	return v.Name + " (" + v.Endpoint + ")"
}

// near is how many raft entries a member may be behind the most advanced one and still count as up to date: what a busy cluster
// applies between two answers.
const near = 1000

// Choose returns the member that a snapshot is best saved from, and why: a follower, because the leader has more to do, which is
// healthy and up to date; the leader if there is none; and, where no member is healthy, whichever has the most.
func Choose(all []Vantage) (best Vantage, why string, err error) {
	answering := slices.DeleteFunc(slices.Clone(all), func(v Vantage) bool { return v.Fault != "" })
	if len(answering) == 0 {
		return Vantage{}, "", fmt.Errorf("choose a member: %w: none answers", ErrNoVantage)
	}
	most := slices.MaxFunc(answering, func(a, b Vantage) int { return int(int64(a.Applied) - int64(b.Applied)) })
	followers := pick(answering, func(v Vantage) bool { return v.healthy() && !v.Leader && !v.Learner && v.Applied+near >= most.Applied })
	leaders := pick(answering, func(v Vantage) bool { return v.healthy() && v.Leader })
	switch {
	case len(followers) > 0:
		best, why = followers[0], "a healthy follower that is up to date, so that the leader is spared"
	case len(leaders) > 0:
		best, why = leaders[0], "the leader: no follower that was named is healthy and up to date"
	default:
		best, why = most, "the member that has applied the most; none that was named is healthy"
	}
	var others []string
	for _, v := range all {
		if v.Endpoint != best.Endpoint {
			others = append(others, v.called()+": "+v.standing(most))
		}
	}
	if len(others) > 0 {
		why += "; " + strings.Join(others, "; ")
	}
	return best, why, nil
}

// pick returns those that fit, the most advanced first.
func pick(all []Vantage, fits func(Vantage) bool) []Vantage {
	chosen := slices.DeleteFunc(slices.Clone(all), func(v Vantage) bool { return !fits(v) })
	slices.SortStableFunc(chosen, func(a, b Vantage) int { return int(int64(b.Applied) - int64(a.Applied)) })
	return chosen
}

// standing says what is to be said of a member that was not chosen.
func (v Vantage) standing(most Vantage) string {
	switch behind := most.Applied - v.Applied; {
	case v.Fault != "":
		return v.Fault
	case !v.Led:
		return "it knows no leader"
	case len(v.Errors) > 0:
		return strings.Join(v.Errors, ", ")
	case v.Learner:
		return "a learner"
	case behind > near:
		return fmt.Sprintf("it lags by %d entries", behind)
	case v.Leader:
		return "the leader"
	}
	return "as good"
}
