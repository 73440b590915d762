package docker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"
)

// nameHolder makes the names of all members resolve before the first of them runs, on engines that need it: a container that
// carries all of them, listens nowhere and ends by itself.
//
// A new etcd asks each of its peers whether it was bootstrapped before, and gives each a second (server/etcdserver/bootstrap.go,
// isMemberBootstrapped). A peer that refuses the connection costs nothing. But engines before 26 leave the query for a name
// that is not there yet unanswered on a network without a way out (moby, libnetwork/resolver.go), so members that start
// together wait for each other, N-1 seconds long. While the holder lives a name has two addresses, and whoever dials it
// takes the one that answers.
//
// It goes as soon as every name has a member. One that joins a living cluster finds itself in the member list by the address of
// its URL, the first that its name has (pkg/netutil, URLStringsEqual): beside a holder all members have the same.
type nameHolder struct {
	once sync.Once

	mu      sync.Mutex
	id      string
	missing []string      // names that no member has taken yet
	going   chan struct{} // closed when the holder is gone; nil as long as it is to stay
}

// holdFor is how long the holder lives: longer than it takes to start the largest cluster's processes.
const holdFor = 10 * time.Second

// answersUnknownNames is the first major version of the engine that answers such a query with an error.
const answersUnknownNames = 26

// holdNames starts the holder when the first node with a network name is about to start, if there are peers to be asked.
// Without it members start all the same, only later, so its failure is no error.
func (s *site) holdNames(ctx context.Context, hostname string) {
	s.holder.awaitGone(ctx)
	if hostname == "" || s.link.published || s.runtime.major() >= answersUnknownNames {
		return
	}
	s.holder.once.Do(func() {
		if err := s.hold(ctx); err != nil {
			s.runtime.cfg.Log.Info("members will wait for each other's names", "reason", err)
		}
	})
}

func (s *site) hold(ctx context.Context) error {
	s.mu.Lock()
	names := slices.Clone(s.placed)
	s.mu.Unlock()
	if len(names) < 2 {
		return nil
	}
	held, err := s.create(ctx, box{
		name: s.name("_names"), labels: s.labels(), aliases: names,
		// A client that waits for a server that is not there.
		program: "etcdctl",
		args: []string{
			"--endpoints=127.0.0.1:1", "--dial-timeout=" + holdFor.String(), "--command-timeout=" + holdFor.String(), "get", "nothing",
		},
	})
	if err != nil {
		return fmt.Errorf("hold the names of members: %w", err)
	}
	if _, err := s.runtime.engine.ContainerStart(ctx, held.GetContainerID(), client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("hold the names of members: %w", err)
	}
	s.holder.mu.Lock()
	defer s.holder.mu.Unlock()
	s.holder.id, s.holder.missing = held.GetContainerID(), names
	return nil
}

// took notes that a member runs under this name. With the last name the holder is sent away; the next member that starts waits
// until it has gone.
func (s *site) took(ctx context.Context, hostname string) {
	h := &s.holder
	h.mu.Lock()
	defer h.mu.Unlock()
	h.missing = slices.DeleteFunc(h.missing, func(name string) bool { return name == hostname })
	if h.id == "" || len(h.missing) > 0 || h.going != nil {
		return
	}
	gone := make(chan struct{})
	h.going = gone
	go func() {
		defer close(gone)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), holdFor)
		defer cancel()
		// It also ends by itself. Close removes what is left of it.
		if _, err := s.runtime.engine.ContainerKill(ctx, h.id, client.ContainerKillOptions{Signal: "SIGKILL"}); err != nil {
			s.runtime.cfg.Log.Info("the holder of members' names stays until it ends by itself", "reason", err)
			return
		}
		waiting := s.runtime.engine.ContainerWait(ctx, h.id, client.ContainerWaitOptions{})
		select { // a wait that failed is over, too
		case <-waiting.Result:
		case err := <-waiting.Error:
			s.runtime.cfg.Log.Debug("await the end of the holder of names", "reason", err)
		}
	}()
}

func (h *nameHolder) awaitGone(ctx context.Context) {
	h.mu.Lock()
	going := h.going
	h.mu.Unlock()
	if going == nil {
		return
	}
	select {
	case <-going:
	case <-ctx.Done():
	}
}

// major is the engine's major version; 0 if it cannot be read from what the engine says.
func (r *Runtime) major() int {
	word, _, _ := strings.Cut(r.info.ServerVersion, ".")
	major, err := strconv.Atoi(word)
	if err != nil {
		return 0
	}
	return major
}

func aliases(hostname string) []string {
	if hostname == "" {
		return nil
	}
	return []string{hostname}
}
