package child

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// dieWithParent has the kernel kill the worker when the thread that started it ends, so that none outlives a parent that
// was killed itself.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// PeakRSSBytes returns the high-water mark of this process's resident memory. It reads /proc, because what getrusage
// reports includes the parent's memory of the moment of the fork.
func PeakRSSBytes() int64 {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }() // read only
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		value, found := strings.CutPrefix(lines.Text(), "VmHWM:")
		if !found {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		if err != nil {
			return 0
		}
		return kib << 10
	}
	return 0
}

// RSSBytes returns the high-water mark of a child that has ended. It is at least this process's at the fork, see above.
func RSSBytes(state *os.ProcessState) int64 {
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss << 10
	}
	return 0
}

// KernelKills counts the processes of this machine that the kernel has killed for their memory since it runs; 0 if it does
// not say.
func KernelKills() int64 {
	text, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if count, found := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); found {
			kills, _ := strconv.ParseInt(count, 10, 64) // 0 like every kernel that does not count
			return kills
		}
	}
	return 0
}
