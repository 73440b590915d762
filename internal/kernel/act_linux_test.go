package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	freezerEnv = "ETCD_DRILL_TEST_FREEZER" // the folder of a frozen cgroup for the kind "frozen"
	pipeEnv    = "ETCD_DRILL_TEST_PIPE"    // the named pipe on which a process that hangs announces itself
)

func actHere(kind string) error {
	switch kind {
	case "hang": // holding the pipe for as long as it lives
		pipe, err := os.OpenFile(os.Getenv(pipeEnv), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer func() { _ = pipe.Close() }()
		_, err = pipe.Write([]byte{'h'})
		<-time.After(time.Hour)
		return err
	case "hang with child": // which keeps the output open
		child := exec.Command(os.Args[0])
		child.Env, child.Stdout, child.Stderr = append(os.Environ(), kindEnv+"=hang"), os.Stdout, os.Stderr
		return errors.Join(child.Start(), act("hang"))
	case "frozen":
		err := os.WriteFile(filepath.Join(os.Getenv(freezerEnv), "cgroup.procs"), []byte("0"), 0)
		return errors.Join(err, act("hang"))
	case "parent": // of eight that hang
		prober := Prober{Path: os.Args[0], Env: []string{kindEnv + "=hang"}}
		return json.NewEncoder(os.Stdout).Encode(prober.Try(context.Background()))
	case "bare": // try, where there are neither devices nor cgroups
		for _, dir := range []string{"/dev", cgroupRoot} {
			if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
				return fmt.Errorf("cover %s: %w", dir, err)
			}
		}
		return act("try")
	case "shared": // asks where mounts are shared, and looks whether any came back
		return tryShared()
	case "inside": // asks for a trial in the namespaces of the asking process
		outside, err := ownNamespaces()
		if err != nil {
			return err
		}
		question, err := json.Marshal(request{Trial: os.Args[1], Outside: outside, Mark: "etcd-drill-inside"})
		if err != nil {
			return err
		}
		return Serve(context.Background(), strings.NewReader(string(question)), os.Stdout)
	case "midway":
		return midway(os.Stdin)
	}
	return fmt.Errorf("act: there is no %q", kind)
}

func tryShared() error {
	for _, kind := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} { // first away from the machine, then among themselves
		if err := unix.Mount("", "/", "", unix.MS_REC|kind, ""); err != nil {
			return fmt.Errorf("share mounts: %w", err)
		}
	}
	prober := Prober{Path: os.Args[0], Env: []string{kindEnv + "=midway"}}
	trials := prober.Try(context.Background())
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err == nil && strings.Contains(string(mounts), markPrefix()) { // others may mount and unmount meanwhile
		err = fmt.Errorf("came back: %s", mounts)
	}
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(trials))
}

// midway makes what the trial makes and dies without removing it.
func midway(in io.Reader) error {
	var req request
	err := json.NewDecoder(in).Decode(&req)
	if err != nil {
		return err
	}
	if runsApart(req.Trial) {
		if err := settle(req.Outside); err != nil {
			return err
		}
	}
	switch req.Trial {
	case FUSE:
		options := &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: req.Mark}}
		_, err = fs.Mount(os.TempDir(), &oneFile{name: "file"}, options)
	case Tmpfs:
		err = unix.Mount(req.Mark, os.TempDir(), "tmpfs", 0, "")
	case Cgroup:
		var home string
		if _, home, err = cgroupHome(); err == nil {
			err = os.Mkdir(filepath.Join(home, req.Mark), 0o755)
		}
	case Loop:
		var file *os.File
		if file, err = memoryFile(req.Mark, make([]byte, 1<<16)); err == nil {
			_, err = attach(file, req.Mark)
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "midway at", time.Now().Format(time.RFC3339))
	os.Exit(3)
	return nil
}
