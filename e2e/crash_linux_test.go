package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
)

var _ = Describe("a worker of a harness that was killed", Label("crash", "etcd"), func() {
	It("dies with it", func(ctx SpecContext) {
		// Workers are too quick to outlive anybody, so one is stopped. The kernel would wake and hang up on a stopped process
		// whose parent dies, unless another process of the session takes it over: this one.
		Expect(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)).To(Succeed())
		DeferCleanup(func() { Expect(unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)).To(Succeed()) })

		u := newUser()
		p := u.drill("--members", "1", "--keys", "3000", "--value-size", "2000", "--backup", "before", "--fault", "kill")
		p.reaches(ctx, drill.EventSaving)
		worker := 0
		Eventually(ctx, func() int {
			worker = p.stopWorker()
			return worker
		}).WithTimeout(30 * time.Second).WithPolling(time.Millisecond).ShouldNot(BeZero())
		DeferCleanup(func() { // whatever became of it, it is a child of this process now
			_ = unix.Kill(worker, unix.SIGKILL)
			_, err := unix.Wait4(worker, nil, 0, nil)
			Expect(err).NotTo(HaveOccurred())
		})

		p.Kill()
		p.ends(ctx, 137, 5*time.Second)
		Eventually(ctx, p.processes).WithTimeout(5*time.Second).Should(BeEmpty(), "worker %d outlived the harness", worker)
		u.clean(ctx, p)
	}, SpecTimeout(90*time.Second))
})

// stopWorker stops a worker that the program has started, and returns its process ID; 0 if there is none that can be stopped.
func (p *program) stopWorker() int {
	lists, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(p.Command.Process.Pid), "task", "*", "children"))
	Expect(err).NotTo(HaveOccurred())
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, child := range strings.Fields(string(text)) {
			command, err := os.ReadFile(filepath.Join("/proc", child, "cmdline"))
			if err != nil || !slices.ContainsFunc(bytes.Split(command, []byte{0}), isWorkerCommand) {
				continue
			}
			pid := must(strconv.Atoi(child))
			if unix.Kill(pid, unix.SIGSTOP) == nil && stopped(pid) {
				return pid
			}
		}
	}
	return 0
}

func isWorkerCommand(arg []byte) bool { return string(arg) == "__worker" }

// stopped tells whether the process has stopped, and not ended before the signal came.
func stopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && bytes.Contains(stat, []byte(") T "))
}
