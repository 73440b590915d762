// Package offlinetest makes a worker of the test binary, for tests of the rooms that need one. Only tests import it.
package offlinetest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// workerEnv makes a test binary a worker.
const workerEnv = "ETCD_DRILL_TEST_WORKER"

// Main is the TestMain of a package whose tests start workers: a test binary that was started as one serves, and runs no test.
func Main(m *testing.M) {
	if os.Getenv(workerEnv) == "" {
		os.Exit(m.Run())
	}
	if err := offline.Serve(context.Background(), os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Worker is this test binary, see Main.
func Worker(t *testing.T) offline.Worker {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	return offline.Worker{Path: program, Env: []string{workerEnv + "=serve"}, Log: log, Scratch: t.TempDir()}
}

// SourceAndContents checks a backup and extracts from it, under recoverytest.DigestKey.
func SourceAndContents(t *testing.T, path string, kind recovery.Kind) (recovery.Source, recovery.Contents) {
	t.Helper()
	ctx, worker, dir := recoverytest.Context(t), Worker(t), t.TempDir()
	source, err := offline.Check(ctx, worker, kind, path)
	if err != nil {
		t.Fatal(err)
	}
	contents, err := offline.Extract(ctx, worker, source, offline.Extraction{
		DigestKey: recoverytest.DigestKey(), History: filepath.Join(dir, "h"), Keyspace: filepath.Join(dir, "k"),
		Leases: filepath.Join(dir, "l"), State: filepath.Join(dir, "s"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return source, contents
}
