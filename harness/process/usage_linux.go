package process

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
)

// clockTick is the unit in which Linux counts the time of processes in /proc: USER_HZ, which is 100 for every program
// (include/asm-generic/param.h).
const clockTick = time.Second / 100

var _ harness.Gauge = (*node)(nil)

// Usage reads what the kernel has counted for the running process.
func (n *node) Usage(context.Context) (harness.Usage, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	life, err := n.running()
	var usage harness.Usage
	if err == nil {
		usage, err = usageOf(life.pid)
	}
	if err != nil {
		return harness.Usage{}, fmt.Errorf("measure node %s: %w", n.spec.Name, err)
	}
	return usage, nil
}

func usageOf(pid int) (harness.Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return harness.Usage{}, err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return harness.Usage{}, err
	}
	var usage harness.Usage
	// The second field is a name that may hold anything; behind its end the third field comes first (proc_pid_stat(5)).
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const utime, stime, third = 14, 15, 3
	if len(fields) <= stime-third {
		return harness.Usage{}, fmt.Errorf("/proc/%d/stat has too few fields", pid)
	}
	for _, at := range []int{utime, stime} {
		ticks, err := strconv.ParseInt(fields[at-third], 10, 64)
		if err != nil {
			return harness.Usage{}, err
		}
		usage.CPU += time.Duration(ticks) * clockTick
	}
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				return harness.Usage{}, err
			}
			usage.PeakRSSBytes = kib << 10
		}
	}
	return usage, nil
}
