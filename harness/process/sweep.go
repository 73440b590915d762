package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/etcd-drill/etcd-drill/internal/await"
)

// sighting is what tells a process from any other that had or will have its number.
type sighting struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Name    string    `json:"name"` // its first argument, which holds the ID of its run
}

// processName is the first argument of the process that runs this node.
func processName(runID, node string) string { return namePrefix(runID) + node }

func namePrefix(runID string) string { return "etcd-drill-" + runID + "-" }

// startSlack is how far two readings of one process's start may lie apart: systems compute it from the time of their boot,
// which moves with the clock.
const startSlack = 2 * time.Second

// errGone says that there is no such process.
var errGone = errors.New("the process is gone")

func startOf(pid int) (time.Time, error) {
	found, err := process.NewProcess(int32(pid))
	if err != nil {
		return time.Time{}, gone(err)
	}
	millis, err := found.CreateTime()
	if err != nil {
		return time.Time{}, gone(err)
	}
	return time.UnixMilli(millis), nil
}

// gone translates the ways in which gopsutil says that a process has ended.
func gone(err error) error {
	if errors.Is(err, process.ErrorProcessNotRunning) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return errGone
	}
	return err
}

// alive tells whether the process that was seen then is there now: the same number, the same start and the same name, which
// holds the run's ID. A process that has ended and was not yet collected by its parent has no name any more.
func (s sighting) alive() bool {
	started, err := startOf(s.PID)
	if err != nil || started.Sub(s.Started).Abs() > startSlack {
		return false
	}
	return nameOf(s.PID) == s.Name
}

func nameOf(pid int) string {
	found, err := process.NewProcess(int32(pid))
	if err != nil {
		return ""
	}
	args, err := found.CmdlineSlice()
	if err != nil || len(args) == 0 {
		return ""
	}
	return args[0]
}

// Sweep kills the processes that the run has noted and that are still the same ones: number, start and run are compared. A
// number that now belongs to another process is left alone.
func (r *Runtime) Sweep(ctx context.Context, run string) (removed int, err error) {
	if !runID.MatchString(run) {
		return 0, fmt.Errorf("sweep: %q is not the ID of a run", run)
	}
	r.mu.Lock()
	own := r.sites[run]
	r.mu.Unlock()
	if own != nil {
		removed, err = own.endAll(ctx)
	}
	path := r.recordPath(run)
	noted, failure := readRecord(path)
	err = errors.Join(err, failure)
	for _, one := range noted {
		ended, failure := one.end(ctx)
		if ended {
			removed++
		}
		err = errors.Join(err, failure)
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return removed, fmt.Errorf("sweep run %s: %w", run, err)
	}
	return removed, nil
}

// end kills the process, if it is still the same one, and returns when it is gone.
func (s sighting) end(ctx context.Context) (ended bool, err error) {
	if !s.alive() {
		return false, nil
	}
	if err := signalGroup(s.PID, syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return false, fmt.Errorf("kill process %d (%s): %w", s.PID, s.Name, err)
	}
	condition := await.Condition{Name: fmt.Sprintf("the end of process %d (%s)", s.PID, s.Name), Within: 10 * time.Second}
	err = await.Until(ctx, condition, func(context.Context) error {
		if s.alive() {
			return errors.New("it is still there")
		}
		return nil
	})
	return err == nil, err
}

// Left names the processes of this machine that carry the run's name, whether any record knows them or not, as
// "process PID NAME".
func (r *Runtime) Left(ctx context.Context, run string) ([]string, error) {
	pids, err := process.PidsWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var left []string
	for _, pid := range pids {
		if name := nameOf(int(pid)); strings.HasPrefix(name, namePrefix(run)) {
			left = append(left, fmt.Sprintf("process %d %s", pid, name))
		}
	}
	return left, nil
}
