// Package kernel finds out what the kernel of this machine can do for whom it is asked, each ability by trying it in a
// throw-away place.
//
// It trusts no version number and no configuration, because neither knows of a module that is missing, a container that
// forbids, or a distribution that patched. It must not know what the abilities are wanted for: faults and runtimes decide
// what follows from an answer.
package kernel

import (
	"context"
	"sync"
)

// State is the outcome of a trial.
type State string

// The states. Only Able promises anything; the text of the trial says what lies behind the others.
const (
	Able    State = "able"
	Unable  State = "unable"  // the kernel or the machine cannot
	Denied  State = "denied"  // this user may not; another may
	Untried State = "untried" // it could not be tried, which proves nothing about the kernel
)

// The names of the trials, in the order in which Try returns them.
const (
	Namespaces = "namespaces"
	Nftables   = "nftables"
	Netem      = "netem"
	TBF        = "tbf"
	FUSE       = "fuse"
	Cgroup     = "cgroup"
	Tmpfs      = "tmpfs limit"
	Loop       = "loop device"
)

func names() []string { return []string{Namespaces, Nftables, Netem, TBF, FUSE, Cgroup, Tmpfs, Loop} }

// Trial is one ability and what came of trying it.
type Trial struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	Text  string `json:"text"` // what was done and seen, or the reason, in a few words; never empty
}

func untried(name, why string) Trial { return Trial{Name: name, State: Untried, Text: why} }

// Prober says how to start the processes in which trials run: a program that calls Serve when it is started with these
// arguments. The CLI names itself with a hidden command, a test binary itself with a variable in Env.
type Prober struct {
	Path string
	Args []string
	Env  []string // added to the environment of this process
}

// Try runs all trials at the same time, each in a process of its own, and returns them in a fixed order, never fewer. It
// returns within 15 seconds whatever the kernel does, and soon after its context ends. A trial that hangs, that kills its
// process, or whose process cannot be started is Untried for that reason, and the others do not suffer from it.
//
// It leaves nothing behind: what a trial makes belongs to its process or to the namespaces of that process, and the kernel
// removes it with them. The one exception is an unattached loop device, if all that there were had been in use.
func (p Prober) Try(ctx context.Context) []Trial {
	trials := make([]Trial, len(names()))
	var running sync.WaitGroup
	for i, name := range names() {
		running.Go(func() { trials[i] = p.try(ctx, name) })
	}
	running.Wait()
	return trials
}
