//go:build !linux

package process

import (
	"errors"
	"slices"

	"github.com/shirou/gopsutil/v4/process"
)

// frozen returns nil when the system says that the process has stopped.
func frozen(pid int) error {
	found, err := process.NewProcess(int32(pid))
	if err != nil {
		return err
	}
	states, err := found.Status()
	if err == nil && !slices.Contains(states, process.Stop) {
		err = errors.New("it still runs")
	}
	return err
}
