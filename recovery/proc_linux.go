package recovery

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

// peakRSSBytes returns the high-water mark of this process's resident memory. It reads /proc, because what getrusage
// reports includes the parent's memory of the moment of the fork.
func peakRSSBytes() int64 {
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
