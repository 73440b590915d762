package offline

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// workerEnv makes this test binary a worker: the value says which kind.
const workerEnv = "ETCD_DRILL_TEST_WORKER"

func TestMain(m *testing.M) {
	if task := os.Getenv(harnessEnv); task != "" {
		fmt.Fprintln(os.Stderr, restoreAsHarness(task))
		os.Exit(1)
	}
	if mark, doomed := strings.CutPrefix(os.Getenv(workerEnv), killedAt); doomed {
		_ = Serve(context.Background(), os.Stdin, os.Stdout, &killer{mark: mark}) // it does not return
		os.Exit(1)
	}
	if path, tampers := strings.CutPrefix(os.Getenv(workerEnv), tampersWith); tampers {
		serveTampered(path)
	}
	switch os.Getenv(workerEnv) {
	case "":
		os.Exit(m.Run())
	case "serve":
		if err := Serve(context.Background(), os.Stdin, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case diesOfRestore:
		_ = Serve(context.Background(), os.Stdin, os.Stdout, dying{})
	case "killed":
		fmt.Fprintln(os.Stderr, "about to be killed")
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "hang":
		fmt.Fprintln(os.Stderr, "hanging as", os.Getpid())
		select {}
	case "parent": // of a worker that hangs; its log is this one's output
		worker := Worker{Path: os.Args[0], Env: []string{workerEnv + "=hang"}, Scratch: os.Args[1]}
		worker.Log = slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
		_, _ = Check(context.Background(), worker, recovery.DBCopy, os.Args[0])
	case "killed midway":
		var d doomed
		err := json.NewDecoder(os.Stdin).Decode(&d)
		if err == nil {
			err = killMidway(zap.Must(zap.NewDevelopment()), d)
		}
		fmt.Fprintln(os.Stderr, "it lives:", err)
	case "panic", "fault", "fatal", "overflow", "starve", "stop", "spin", "family":
		die(os.Getenv(workerEnv))
	case "mute":
		fmt.Fprintln(os.Stderr, "nothing to say")
	}
	os.Exit(0)
}

func testWorker(t *testing.T, kind string) Worker {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	return Worker{Path: program, Env: []string{workerEnv + "=" + kind}, Log: log, Scratch: t.TempDir()}
}
