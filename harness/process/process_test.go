package process_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/process"
	"github.com/etcd-drill/etcd-drill/harness/runtimetest"
)

// open returns a runtime on the etcd that all tests share, built once and kept in this user's cache.
func open(t *testing.T) harness.Runtime {
	t.Helper()
	return runtimeWith(t, process.Config{Version: os.Getenv("ETCD_DRILL_ETCD_VERSION")})
}

func runtimeWith(t *testing.T, cfg process.Config) *process.Runtime {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if cfg.CacheDir == "" {
		cfg.CacheDir = filepath.Join(cache, "etcd-drill")
	}
	if cfg.StateDir == "" {
		cfg.StateDir = t.TempDir()
	}
	cfg.Progress = func(line string) { t.Log(line) }
	runtime, err := process.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return runtime
}

func TestProcesses(t *testing.T) {
	runtimetest.Suite{Open: open, Other: os.Getenv("ETCD_DRILL_OTHER_VERSION")}.Run(t)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	check(t, err)
	return listener
}
