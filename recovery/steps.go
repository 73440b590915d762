package recovery

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcd-drill/etcd-drill/harness"
)

// Verb says what a Step does to its member.
type Verb string

// The verbs.
const (
	DoRestore Verb = "restore" // make its data directory from the source
	DoStart   Verb = "start"   // start its process
	DoForce   Verb = "force"   // start its process with --force-new-cluster, which must be dropped on the next start
	DoStop    Verb = "stop"    // end its process with SIGTERM
	DoAwait   Verb = "await"   // wait until it answers a linearizable read
	DoErase   Verb = "erase"   // destroy its data directory
	DoRemove  Verb = "remove"  // take it from the membership, through another member
	DoAdd     Verb = "add"     // add it to the membership, through another member, with an empty data directory
)

// Step is one thing that is done on a route that leads over a living cluster, in its place in the order.
type Step struct {
	Do     Verb   `json:"do"`
	Member string `json:"member"`
	Via    string `json:"via,omitempty"` // the member that DoAdd and DoRemove ask
	// Command is what a person would type; On is the host, by the name of the member that lives there.
	Command string `json:"command"`
	On      string `json:"on"`
}

// String is the step as a line of a runbook.
func (s Step) String() string { return s.Command + "  # on " + s.On }

// writer makes the steps of a plan.
type writer struct {
	layout harness.Layout // with all members that the new cluster will have
	places harness.Placer
	dirs   func(member string) string // of members that were restored; nil for the directory of their place
	steps  []Step
	err    error
}

func (w *writer) seat(name string) harness.Seat {
	i := slices.IndexFunc(w.layout.Seats, func(s harness.Seat) bool { return s.Name == name })
	if i < 0 {
		w.fail(fmt.Errorf("%w: no member %q", ErrBadLayout, name))
		return harness.Seat{}
	}
	return w.layout.Seats[i]
}

func (w *writer) place(name string) harness.Place {
	place, err := w.places.Place(name)
	w.fail(err)
	return place
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *writer) add(step Step) {
	if step.On == "" {
		step.On = step.Member
	}
	w.steps = append(w.steps, step)
}

// start writes down the start of a member that has data, among these members, or as a joining one without any.
func (w *writer) start(do Verb, name string, among []string, more ...string) {
	place := w.place(name)
	if w.dirs != nil {
		place.DataDir = w.dirs(name)
	}
	layout := harness.Layout{Token: w.layout.Token}
	for _, other := range among {
		layout.Seats = append(layout.Seats, w.seat(other))
	}
	flags := slices.DeleteFunc(harness.Flags(layout, w.seat(name), place), func(flag string) bool {
		name, _, _ := strings.Cut(flag, "=") // what is given more than once counts where it stands last
		return slices.ContainsFunc(more, func(other string) bool { return strings.HasPrefix(other, name+"=") })
	})
	words := slices.Concat([]string{"etcd"}, flags, more)
	for i, word := range words {
		words[i] = quote(word)
	}
	w.add(Step{Do: do, Member: name, Command: strings.Join(words, " ")})
}

func (w *writer) ctl(via string, words ...string) string {
	flags := harness.CtlFlags(w.place(via))
	for i, flag := range flags {
		flags[i] = quote(flag)
	}
	return strings.Join(slices.Concat([]string{"etcdctl"}, flags, words), " ")
}

func (w *writer) await(name string) {
	w.add(Step{Do: DoAwait, Member: name, Command: w.ctl(name, "endpoint health")})
}

func (w *writer) stop(name string) {
	w.add(Step{Do: DoStop, Member: name, Command: "pkill -TERM -x etcd"})
}

func (w *writer) erase(name string) {
	w.add(Step{Do: DoErase, Member: name, Command: "rm -rf " + quote(w.place(name).DataDir)})
}

func (w *writer) remove(name, via string, id fmt.Stringer) {
	w.add(Step{Do: DoRemove, Member: name, Via: via, On: via, Command: w.ctl(via, "member remove", id.String())})
}

// join writes down how a member comes to a cluster that has these others: empty, known to the others before it starts.
func (w *writer) join(name, via string, others []string) {
	seat := w.seat(name)
	w.add(Step{
		Do: DoAdd, Member: name, Via: via, On: via,
		Command: w.ctl(via, "member add", quote(name), "--peer-urls="+quote(seat.PeerURL)),
	})
	w.start(DoStart, name, append(slices.Clone(others), name), "--initial-cluster-state=existing")
	w.await(name)
}
