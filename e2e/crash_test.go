package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness/host"
)

// A harness that is killed leaves a work folder and its record, and on an engine members that run on and a network. Members
// that are plain processes die with it, where the system can see to that. The record's lock goes with the process, which is
// how everybody else knows.
var _ = Describe("a harness that was killed", Label("crash", "etcd"), func() {
	It("is cleaned up after in whichever phase it was, while another drill goes on", func(ctx SpecContext) {
		u := newUser()
		early := u.small()
		early.dies(ctx, drill.EventStarting)
		early.expectRemains(ctx)

		var living []*program
		for _, batch := range [][]drill.EventName{
			{drill.EventLoading, drill.EventSignalled, drill.EventSaving},
			{drill.EventPlanned, drill.EventStarted, drill.EventFencing},
		} {
			By(fmt.Sprintf("killed at %s", batch))
			// It starts before anybody dies, because it would sweep the dead, and is behind them for its many keys.
			slow := u.drill("--members", "3", "--keys", "15000", "--fault", "kill")
			living = append(living, slow)
			if len(living) == 1 {
				slow.reaches(ctx, drill.EventSwept)
				early.expectNothingLeft(ctx)
				expectNoWork(early)
			}
			slow.reaches(ctx, drill.EventPrepared)
			dead := u.killedAt(ctx, batch)
			for _, p := range dead {
				p.expectRemains(ctx)
				Expect(filepath.Join(p.out, "work")).To(BeADirectory())
			}
			u.clean(ctx, dead...)
			Expect(slow.ExitCode()).To(Equal(-1), "it should have gone on while the dead were cleaned up")
		}
		for _, p := range living {
			p.ends(ctx, 0, 2*time.Minute)
			Expect(string(p.Out.Contents())).To(ContainSubstring("1 of 1 intact"))
			p.expectNothingLeft(ctx)
		}
	}, SpecTimeout(4*time.Minute))
})

// small is a drill that passes through all phases soon.
func (u user) small() *program {
	GinkgoHelper()
	return u.drill("--members", "3", "--keys", "300", "--fault", "kill", "--workers", "16")
}

// killedAt starts a drill for each moment, side by side, and kills each when its moment has come.
func (u user) killedAt(ctx context.Context, moments []drill.EventName) []*program {
	GinkgoHelper()
	var dead []*program
	for range moments {
		dead = append(dead, u.small())
	}
	ended := make(chan struct{}, len(moments))
	for i, moment := range moments {
		go func() {
			defer GinkgoRecover()
			defer func() { ended <- struct{}{} }()
			dead[i].dies(ctx, moment)
		}()
	}
	for range moments {
		Eventually(ctx, ended).Should(Receive())
	}
	return dead
}

// dies kills the harness at this moment, in a way that it cannot notice.
func (p *program) dies(ctx context.Context, at drill.EventName) {
	GinkgoHelper()
	p.reaches(ctx, at)
	p.Kill()
	p.ends(ctx, 137, 5*time.Second)
}

// expectRemains looks for what outlives a harness that was killed. Members on an engine do; a process that is bound to the life
// of its parent has two seconds.
func (p *program) expectRemains(ctx context.Context) {
	GinkgoHelper()
	left := func() ([]string, error) { return p.user.left(ctx, p.runs()[0]) }
	switch {
	case p.user.choice == host.Docker:
		Expect(left()).NotTo(BeEmpty())
	case runtime.GOOS == "linux":
		Eventually(ctx, left).WithTimeout(2*time.Second).WithPolling(10*time.Millisecond).Should(BeEmpty(), "they outlived the harness")
		Expect(filepath.Join(p.user.state, "processes", p.runs()[0]+".jsonl")).To(BeARegularFile())
	}
}

// clean calls the clean command, which must remove everything of these dead drills, and then has nothing more to do.
func (u user) clean(ctx context.Context, dead ...*program) {
	GinkgoHelper()
	cleaned := u.call("clean")
	cleaned.ends(ctx, 0, time.Minute)
	for _, p := range dead {
		Expect(string(cleaned.Out.Contents())).To(ContainSubstring("run " + p.runs()[0] + ": removed"))
		p.expectNothingLeft(ctx)
		expectNoWork(p)
	}
	again := u.call("clean")
	again.ends(ctx, 0, time.Minute)
	Expect(string(again.Out.Contents())).To(Equal("nothing to clean\n"))
}

// expectNoWork looks at the folder of a drill that was cleaned up after: its evidence stays.
func expectNoWork(p *program) {
	GinkgoHelper()
	Expect(filepath.Join(p.out, "work")).NotTo(BeAnExistingFile())
	Expect(filepath.Join(p.out, "events.jsonl")).To(BeARegularFile())
}
