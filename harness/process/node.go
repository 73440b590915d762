package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// node is one etcd process after the other, on one disk and with one log.
type node struct {
	site    *site
	spec    harness.NodeSpec
	program string // the etcd to run
	disk    *disk
	mu      sync.Mutex // held while a process is started or signalled
	life    *life      // of the last process; nil before the first
}

var _ harness.Node = (*node)(nil)

// life is one process from its start to its end.
type life struct {
	pid   int
	ended chan struct{} // closed when exit is set
	exit  harness.Exit
}

func (l *life) running() bool {
	select {
	case <-l.ended:
		return false
	default:
		return true
	}
}

// errNotRunning says that the node's last process has ended.
var errNotRunning = errors.New("it is not running")

// name is the first argument of the node's processes: what process lists show, and what tells them from others.
func (n *node) name() string { return processName(n.site.run.ID(), n.spec.Name) }

func (n *node) logPath() string { return filepath.Join(n.site.logs(), n.spec.Name+".log") }

// Start starts the program in the folder of the node's disk. A port that somebody else listens on is an error.
func (n *node) Start(ctx context.Context) error {
	if err := n.start(ctx); err != nil {
		return fmt.Errorf("start node %s: %w", n.spec.Name, err)
	}
	return nil
}

func (n *node) start(ctx context.Context) (err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.site.enter(); err != nil {
		return err
	}
	defer n.site.life.RUnlock()
	if n.life != nil && n.life.running() {
		return errors.New("it is running")
	}
	if err := requireFree(ctx, harness.ListenURLs(n.spec.Args)); err != nil {
		return err
	}
	if err := n.disk.placeFiles(n.spec.Files); err != nil {
		return err
	}
	if err := n.site.run.Note("process", n.name()); err != nil {
		return err
	}
	log, err := os.OpenFile(n.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }() // the process has a handle of its own
	cmd := &exec.Cmd{
		Path: n.program, Args: append([]string{n.name()}, n.spec.Args...),
		Dir: n.disk.Dir(), Env: environment(), Stdout: log, Stderr: log,
	}
	if err := n.site.forker.start(cmd); err != nil {
		return err
	}
	n.life = &life{pid: cmd.Process.Pid, ended: make(chan struct{})}
	go n.life.follow(cmd)
	if err := n.site.record.note(n.life.pid, n.name()); err != nil { // what no sweep would find must not live
		return errors.Join(err, signalGroup(n.life.pid, syscall.SIGKILL))
	}
	return nil
}

// follow waits for the process and keeps how it ended.
func (l *life) follow(cmd *exec.Cmd) {
	_ = cmd.Wait() // what it says is in the state, and output that was not written is etcd's to notice
	l.exit = harness.Exit{Code: exitCode(cmd.ProcessState), At: time.Now()}
	close(l.ended)
}

// exitCode is the shell's and the engines': 128 and the signal for a process that died of one. Whether that was the kernel's
// for want of memory cannot be told.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// Signal sends the signal to the node's process group. Freeze returns when the process has stopped.
func (n *node) Signal(ctx context.Context, s harness.Signal) error {
	signals := map[harness.Signal]syscall.Signal{
		harness.Terminate: syscall.SIGTERM, harness.Kill: syscall.SIGKILL,
		harness.Freeze: syscall.SIGSTOP, harness.Thaw: syscall.SIGCONT,
	}
	signal, known := signals[s]
	if !known {
		return fmt.Errorf("%s node %s: %w", s, n.spec.Name, harness.Unsupported("no such signal"))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	life, err := n.running()
	if err == nil {
		err = signalGroup(life.pid, signal)
	}
	if err == nil && s == harness.Freeze {
		condition := await.Condition{Name: "its stop", Every: time.Millisecond, Within: 10 * time.Second}
		err = await.Until(ctx, condition, func(context.Context) error { return frozen(life.pid) })
	}
	if err != nil {
		return fmt.Errorf("%s node %s: %w", s, n.spec.Name, err)
	}
	return nil
}

// running returns the life that goes on; the lock is held.
func (n *node) running() (*life, error) {
	switch {
	case n.life == nil:
		return nil, harness.ErrNeverStarted
	case !n.life.running():
		return nil, errNotRunning
	}
	return n.life, nil
}

// Wait returns when the node's process has ended.
func (n *node) Wait(ctx context.Context) (harness.Exit, error) {
	n.mu.Lock()
	life := n.life
	n.mu.Unlock()
	if life == nil {
		return harness.Exit{}, fmt.Errorf("wait for node %s: %w", n.spec.Name, harness.ErrNeverStarted)
	}
	select {
	case <-life.ended:
		return life.exit, nil
	case <-ctx.Done():
		return harness.Exit{}, fmt.Errorf("wait for node %s: %w", n.spec.Name, context.Cause(ctx))
	}
}

// end kills the process if it runs, and waits until it has ended.
func (n *node) end(ctx context.Context) (wasRunning bool, err error) {
	err = n.Signal(ctx, harness.Kill)
	if errors.Is(err, harness.ErrNeverStarted) || errors.Is(err, errNotRunning) || errors.Is(err, os.ErrProcessDone) {
		return false, nil
	}
	if err == nil {
		_, err = n.Wait(ctx)
	}
	return true, err
}

// Endpoint returns where the node's own flags have it listen.
func (n *node) Endpoint(context.Context) (harness.Endpoint, error) {
	n.mu.Lock()
	_, err := n.running()
	n.mu.Unlock()
	endpoint := harness.ListenURLs(n.spec.Args)
	if err == nil && (endpoint.Client == "" || endpoint.Peer == "") {
		err = errors.New("its flags do not say where it listens for clients and peers")
	}
	if err != nil {
		return harness.Endpoint{}, fmt.Errorf("find address of node %s: %w", n.spec.Name, err)
	}
	return endpoint, nil
}

// Logs returns what was printed so far.
func (n *node) Logs(context.Context) (io.ReadCloser, error) {
	n.mu.Lock()
	started := n.life != nil
	n.mu.Unlock()
	log, err := os.Open(n.logPath())
	if !started || errors.Is(err, fs.ErrNotExist) {
		err = harness.ErrNeverStarted
	}
	if err != nil {
		return nil, fmt.Errorf("read log of node %s: %w", n.spec.Name, err)
	}
	return log, nil
}
