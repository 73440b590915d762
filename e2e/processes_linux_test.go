package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/onsi/gomega/gexec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness/host"
)

// onProcesses is a user whose members are plain processes, whatever the suite runs on.
func onProcesses() user {
	GinkgoHelper()
	u := newUser()
	u.choice = host.Process
	return u
}

var _ = Describe("members that are plain processes", Label("etcd", "process"), func() {
	It("take the engine's place where none answers, and the run says so", func(ctx SpecContext) {
		u := onProcesses()
		u.env = []string{"DOCKER_HOST=unix:///nobody.sock"}
		p := u.drill("--runtime", "auto", "--members", "1", "--keys", "200", "--backup", "before", "--fault", "kill")
		p.ends(ctx, 0, time.Minute)
		Expect(string(p.Out.Contents())).To(And(
			MatchRegexp(`(?m)^etcd-drill .* processes on linux/`),
			MatchRegexp(`(?m)^runtime   process, since no container engine answers at unix:///nobody\.sock \(.*\); --runtime docker insists$`),
			MatchRegexp(`(?m)^binary    etcd 3\.`), ContainSubstring("1 of 1 intact"), ContainSubstring("nothing left behind")))
		p.expectNothingLeft(ctx)
	}, SpecTimeout(90*time.Second))

	It("die with a harness that is killed, in whichever phase, and clean removes the rest", func(ctx SpecContext) {
		u := onProcesses()
		for _, moment := range []drill.EventName{drill.EventReady, drill.EventStruck, drill.EventFencing} {
			p := u.small()
			p.reaches(ctx, moment)
			if len(must(u.left(ctx, p.runs()[0]))) == 0 { // between the old members and the new ones, where a busy machine may look
				Expect(p.moments()).To(ContainElement(drill.EventStopping), "nothing ran at %s", moment)
			}
			p.Kill()
			p.ends(ctx, 137, 5*time.Second)
			p.expectRemains(ctx)
			u.clean(ctx, p)
		}
	}, SpecTimeout(3*time.Minute))

	It("do not see a terminal's Ctrl-C, so that the drill can end them", func(ctx SpecContext) {
		u := onProcesses()
		p := u.drill("--members", "3", "--keys", "200000", "--value-size", "32", "--fault", "kill")
		p.reaches(ctx, drill.EventLoading)
		Expect(u.left(ctx, p.runs()[0])).To(HaveLen(3))
		for _, line := range must(u.left(ctx, p.runs()[0])) {
			var pid int
			Expect(fmt.Sscanf(line, "process %d", &pid)).To(Equal(1))
			Expect(must(syscall.Getpgid(pid))).To(Equal(pid), "%s shares a process group", line)
		}
		p.Interrupt()
		p.ends(ctx, 130, 30*time.Second)
		p.expectNothingLeft(ctx)
	}, SpecTimeout(time.Minute))

	DescribeTable("are refused with the reason where the program is not the etcd that was asked for",
		func(ctx SpecContext, program func() string, version, reason string) {
			u := onProcesses()
			args := []string{"--keys", "200", "--binary", program()}
			if version != "" {
				args = append(args, "--etcd-version", version)
			}
			p := u.drill(args...)
			p.ends(ctx, 2, 20*time.Second)
			Expect(string(p.Out.Contents())).To(And(
				MatchRegexp(`no etcd program: .*`+reason), ContainSubstring("name another one with --binary"),
				ContainSubstring("0 of 1 intact, 1 inconclusive"), ContainSubstring("nothing left behind")))
			p.expectNothingLeft(ctx)
			Expect(filepath.Join(p.out, "1", "work")).NotTo(BeAnExistingFile())
		},
		Entry("nothing there", path("/no/such/etcd"), "", "no such file or directory", SpecTimeout(30*time.Second)),
		Entry("a folder", path("/"), "", "is a directory", SpecTimeout(30*time.Second)),
		Entry("a file that may not be run", script("#!/bin/sh\n", 0o600), "", "permission denied", SpecTimeout(30*time.Second)),
		Entry("a program that is none of this machine", script("\x7fELF nonsense", 0o700), "", "exec format error",
			SpecTimeout(30*time.Second)),
		Entry("a program that fails", script("#!/bin/sh\necho nothing to see; exit 3\n", 0o700), "", `exit status 3: "nothing to see`,
			SpecTimeout(30*time.Second)),
		Entry("a program that is not etcd", path("/bin/echo"), "", `no line "etcd Version: …" in `, SpecTimeout(30*time.Second)),
		Entry("a program that never ends", script("#!/bin/sh\nsleep 1000 & wait\n", 0o700), "", "no answer within 10s",
			SpecTimeout(30*time.Second)),
		Entry("another version", script("#!/bin/sh\necho 'etcd Version: 3.4.23'\n", 0o700), "3.7.3",
			`it is etcd 3\.4\.23, not 3\.7\.3 as asked`, SpecTimeout(30*time.Second)),
	)

	It("are refused where there is no loopback address to listen on", func(ctx SpecContext) {
		if os.Getuid() != 0 {
			Skip("only root can make a network without addresses")
		}
		u := onProcesses()
		out := filepath.Join(u.home, "out")
		cmd := exec.Command(u.program, "run", "--runtime", "process", "--keys", "200", "--fault", "kill", "--out", out)
		cmd.Env = append(os.Environ(), "ETCD_DRILL_STATE_DIR="+u.state)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		p := &program{Session: must(gexec.Start(cmd, GinkgoWriter, GinkgoWriter)), user: u, out: out}
		DeferCleanup(func() { p.Kill() })
		p.ends(ctx, 2, 30*time.Second)
		Expect(string(p.Out.Contents())).To(And(
			ContainSubstring("no IPv4 loopback address can be used"), ContainSubstring("bring the loopback interface up")))
		Expect(must(os.ReadDir(u.state))).To(HaveLen(1), "only the folder of records stays")
	}, SpecTimeout(time.Minute))
})

// path is a program that is there or not.
func path(name string) func() string { return func() string { return name } }

// script is a program of this text, made for the spec.
func script(text string, mode os.FileMode) func() string {
	return func() string {
		GinkgoHelper()
		name := newFolder("program")
		Expect(os.WriteFile(name, []byte(text), mode)).To(Succeed())
		return name
	}
}
