package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"regexp"
	"runtime"
	"strings"

	"github.com/etcd-drill/etcd-drill/recovery/internal/child"
)

// tool is an etcdutl program, run by a worker in place of the linked library. What it prints goes to the worker's standard
// error. It stays in the worker's process group and dies with it.
type tool struct {
	path   string
	stderr io.Writer
}

// toolVersion is printed by `etcdutl version` (etcdutl/etcdutl/version_command.go).
var toolVersion = regexp.MustCompile(`(?m)^etcdutl version: (\S+)$`)

// version has the program say its version.
func (t tool) version(ctx context.Context) (string, error) {
	var printed bytes.Buffer
	if _, err := t.run(ctx, &printed, "version"); err != nil {
		return "", err
	}
	match := toolVersion.FindSubmatch(printed.Bytes())
	if match == nil {
		return "", fmt.Errorf("%s is no etcdutl: asked for its version it printed %q", t.path, printed.String())
	}
	return string(match[1]), nil
}

// restore runs `etcdutl snapshot restore`, with flags that every minor since 3.5 takes: --data-dir, which 3.5 insists on, and no
// other that came later. It returns the peak of the program's memory.
func (t tool) restore(ctx context.Context, r *restoration) (peakRSS int64, err error) {
	args := []string{
		"snapshot", "restore", r.source,
		"--name=" + r.member.Name,
		"--initial-cluster=" + r.task.InitialCluster,
		"--initial-cluster-token=" + string(r.task.Token),
		"--initial-advertise-peer-urls=" + r.member.PeerURL,
		"--data-dir=" + r.member.DataDir,
		"--skip-hash-check",
	}
	if r.member.WALDir != "" {
		args = append(args, "--wal-dir="+r.member.WALDir)
	}
	if r.bump > 0 {
		args = append(args, fmt.Sprintf("--bump-revision=%d", r.bump), "--mark-compacted")
	}
	return t.run(ctx, t.stderr, args...)
}

// run runs the program to its end. An end that the program explains, with "Error:" and exit code 1 (pkg/cobrautl/error.go), is
// an ordinary error; every other is a *recovery.WorkerError, as if the worker had died of it.
func (t tool) run(ctx context.Context, stdout io.Writer, args ...string) (peakRSS int64, err error) {
	// The kernel kills the program when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tail := &child.Tail{Log: slog.New(slog.DiscardHandler)}
	cmd := exec.CommandContext(ctx, t.path, args...)
	cmd.Stdout, cmd.Stderr = stdout, io.MultiWriter(t.stderr, tail)
	child.TieToParent(cmd)
	starving := child.KernelKills()
	err = cmd.Run()
	tail.Flush() //nolint:contextcheck // what the program said is kept although its context ended
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case err == nil:
		return child.RSSBytes(cmd.ProcessState), nil
	case !errors.As(err, &exit):
		return 0, fmt.Errorf("run %s: %w", t.path, err)
	}
	if exit.ExitCode() == 1 && len(tail.Last) > 0 && strings.HasPrefix(tail.Last[len(tail.Last)-1], "Error: ") {
		return 0, errors.New(strings.TrimPrefix(tail.Last[len(tail.Last)-1], "Error: "))
	}
	return 0, child.NewWorkerError("run "+t.path+" "+strings.Join(args[:min(2, len(args))], " "),
		child.Demise{State: cmd.ProcessState, Tail: tail, Starved: child.KernelKills() > starving})
}
