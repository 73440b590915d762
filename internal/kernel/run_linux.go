package kernel

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errUnready means that something failed which is not the ability itself.
var errUnready = errors.New("not tried")

// runsApart reports whether a trial needs namespaces of its own. The other two do not: loop devices belong to no namespace,
// and the cgroup that counts is the one of the asking process.
func runsApart(name string) bool { return name != Cgroup && name != Loop }

// run is the trial itself, inside the process that was started for it.
func run(req request) Trial {
	if runsApart(req.Trial) {
		if err := settle(req.Outside); err != nil {
			return Trial{Name: req.Trial, State: stateOf(err), Text: err.Error()}
		}
	}
	text, err := trialOf(req.Trial)(req.Mark)
	if err != nil {
		text = err.Error()
	}
	return Trial{Name: req.Trial, State: stateOf(err), Text: text}
}

// trialOf returns what tries an ability and tells what was seen, or why not.
func trialOf(name string) func(mark string) (string, error) {
	switch name {
	case Namespaces:
		return tryNamespaces
	case Nftables:
		return tryNftables
	case Netem:
		return tryNetem
	case TBF:
		return tryTBF
	case FUSE:
		return tryFUSE
	case Cgroup:
		return tryCgroup
	case Tmpfs:
		return tryTmpfs
	case Loop:
		return tryLoop
	}
	return func(string) (string, error) { return "", fmt.Errorf("%w: there is no trial %q", errUnready, name) }
}

func stateOf(err error) State {
	switch {
	case err == nil:
		return Able
	case errors.Is(err, errUnready), isShortage(err):
		return Untried
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return Denied
	}
	return Unable
}

// isShortage reports an error that tells of a busy machine and not of an ability.
func isShortage(err error) bool {
	for _, passing := range []error{syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.EAGAIN, syscall.EINTR} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// settle makes sure that this process has namespaces of its own, and cuts its mounts off from everybody else's. Without
// that, a mount would show up outside as well where the machine shares its mounts, as systemd has it.
func settle(outside namespaces) error {
	own, err := ownNamespaces()
	if err != nil {
		return fmt.Errorf("%w: %w", errUnready, err)
	}
	if outside.Mount == "" || outside.Network == "" || own.Mount == outside.Mount || own.Network == outside.Network {
		return fmt.Errorf("%w: its process has no namespaces of its own", errUnready)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	return nil
}

func ownNamespaces() (namespaces, error) {
	mount, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return namespaces{}, fmt.Errorf("read mount namespace: %w", err)
	}
	network, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return namespaces{}, fmt.Errorf("read network namespace: %w", err)
	}
	return namespaces{Mount: mount, Network: network}, nil
}

// tryNamespaces has little left to do: its process is in them already, and settle has looked at two of the three.
func tryNamespaces(string) (string, error) {
	if pid := os.Getpid(); pid != 1 {
		return "", fmt.Errorf("look at the process namespace: the first process has number %d", pid)
	}
	return "ran a process in mount, network and process namespaces of its own", nil
}

// stage is where trials mount. It exists everywhere, and covering it up disturbs nobody in a mount namespace of its own.
func stage() (string, error) {
	dir := os.TempDir()
	if info, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("%w: %w", errUnready, err)
	} else if !info.IsDir() {
		return "", fmt.Errorf("%w: %s is no folder", errUnready, dir)
	}
	return dir, nil
}
