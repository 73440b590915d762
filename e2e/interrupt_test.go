package e2e

import (
	"net"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"

	"github.com/etcd-drill/etcd-drill/drill"
)

// interruption is a drill that is interrupted at a moment, and a moment that it must not reach any more.
type interruption struct {
	during string
	at     drill.EventName
	never  drill.EventName
	args   []string
}

var _ = Describe("Ctrl-C", Label("crash", "etcd"), func() {
	It("ends a drill in any phase with 130, after cleaning up", func(ctx SpecContext) {
		calls := []interruption{
			{during: "load", at: drill.EventLoading, never: drill.EventFilled, args: []string{"--keys", "200000", "--value-size", "32"}},
			{during: "disaster", at: drill.EventSignalled, never: drill.EventObserved, args: []string{"--keys", "300", "-w", "json"}},
			{during: "restore", at: drill.EventPlanned, never: drill.EventAgreed, args: []string{"--keys", "300", "--keep", "none"}},
		}
		done := make(chan struct{}, len(calls))
		for _, c := range calls {
			p := newUser().drill(append([]string{"--members", "3", "--fault", "kill", "--seed", "1"}, c.args...)...)
			go func() {
				defer GinkgoRecover()
				defer func() { done <- struct{}{} }()
				interrupt(ctx, p, c)
			}()
		}
		for range calls {
			Eventually(ctx, done).Should(Receive())
		}
	}, SpecTimeout(2*time.Minute))

	It("ends the wait for an image", func(ctx SpecContext) {
		onEngine()
		socketGroup() // skips where the engine is elsewhere and cannot reach this machine's loopback
		silent := must(net.Listen("tcp", "127.0.0.1:0"))
		DeferCleanup(silent.Close)
		registry := silent.Addr().String()
		p := newUser().drill("--image", registry+"/etcd:v1")
		Eventually(ctx, p.Err).WithTimeout(10 * time.Second).Should(gbytes.Say("pulling " + registry))
		p.Interrupt()
		p.ends(ctx, 130, 5*time.Second)
		Expect(string(p.Out.Contents())).To(ContainSubstring("interrupted"))
		p.expectNothingLeft(ctx)
	}, SpecTimeout(30*time.Second))

	It("leaves at once when it is pressed again, and clean removes the rest", func(ctx SpecContext) {
		p := newUser().drill("--members", "1", "--keys", "200000", "--value-size", "32", "--fault", "kill", "--backup", "before")
		p.reaches(ctx, drill.EventLoading)
		p.Interrupt()
		Eventually(ctx, p.Err).WithPolling(time.Millisecond).Should(gbytes.Say("press Ctrl-C again to leave at once"))
		p.Interrupt()
		p.ends(ctx, 130, time.Second)
		Expect(string(p.Err.Contents())).To(ContainSubstring("left at once; etcd-drill clean removes what is still there"))
		p.user.clean(ctx, p)
	}, SpecTimeout(time.Minute))
})

func interrupt(ctx SpecContext, p *program, c interruption) {
	p.reaches(ctx, c.at)
	p.Interrupt()
	p.ends(ctx, 130, 30*time.Second)
	Expect(string(p.Err.Contents())).To(ContainSubstring("interrupted, cleaning up; press Ctrl-C again"), c.during)
	Expect(p.moments()).NotTo(ContainElement(c.never), c.during)
	Expect(p.moments()).To(ContainElement(drill.EventClosed), c.during)
	p.expectNothingLeft(ctx)
	Expect(filepath.Join(p.out, "report.json")).To(BeARegularFile())
	if c.during == "disaster" {
		Expect(document(p.Out.Contents())).To(HaveKeyWithValue("drills", ConsistOf(
			HaveKeyWithValue("failure", ContainSubstring("interrupted")))), c.during)
		return
	}
	Expect(string(p.Out.Contents())).To(And(
		ContainSubstring("INCONCLUSIVE"), ContainSubstring("interrupted"), ContainSubstring("nothing left behind")), c.during)
}
