package docker_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/docker"
)

// asStranger is set for the copy of this test program that runs as a user who may not open the socket.
const asStranger = "ETCD_DRILL_TEST_AS_STRANGER"

func TestNewSaysThatNoEngineAnswers(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.sock")
	dead := filepath.Join(t.TempDir(), "dead.sock")
	listener := listen(t, dead)
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for name, host := range map[string]string{
		"no socket":         "unix://" + missing,
		"nobody listens":    "unix://" + dead,
		"no server at port": "tcp://127.0.0.1:1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DOCKER_HOST", host)
			wantError(t, docker.ErrNoEngine, host, "set DOCKER_HOST")
		})
	}
}

func TestNewRefusesAnAddressThatIsNone(t *testing.T) {
	t.Setenv("DOCKER_HOST", "nonsense")
	if _, err := docker.New(t.Context(), docker.Config{}); err == nil || !strings.Contains(err.Error(), "DOCKER_HOST") {
		t.Errorf("New returned %v", err)
	}
}

// TestNewSaysThatTheEngineIsNotPermitted runs itself again as another user if this one is root, to whom every socket is open.
func TestNewSaysThatTheEngineIsNotPermitted(t *testing.T) {
	if os.Getenv(asStranger) != "" {
		wantError(t, docker.ErrNotPermitted, os.Getenv("DOCKER_HOST"), "group docker", "sudo", "set DOCKER_HOST")
		return
	}
	dir, err := os.MkdirTemp("", "") // not t.TempDir: its parent is closed to others, whose path must end at the socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a leftover in the temporary folder
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "closed.sock")
	defer listen(t, socket).Close() //nolint:errcheck // ends with the test
	if err := os.Chmod(socket, 0); err != nil {
		t.Fatal(err)
	}
	host := "unix://" + socket
	if os.Getuid() != 0 {
		t.Setenv("DOCKER_HOST", host)
		wantError(t, docker.ErrNotPermitted, host, "group docker", "sudo", "set DOCKER_HOST")
		return
	}
	again := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	again.Dir = dir
	again.Env = []string{asStranger + "=1", "DOCKER_HOST=" + host, "HOME=/nonexistent"}
	again.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	output, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "--- PASS: "+t.Name()) {
		t.Errorf("as another user: %v\n%s", err, output)
	}
}

func TestNewRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, cfg := range []docker.Config{{Sharing: "nfs"}, {Reach: "tunnel"}} {
		if _, err := docker.New(t.Context(), cfg); err == nil {
			t.Errorf("New accepted %+v", cfg)
		}
	}
}

func listen(t *testing.T, socket string) *net.UnixListener {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func wantError(t *testing.T, want error, parts ...string) {
	t.Helper()
	_, err := docker.New(t.Context(), docker.Config{})
	if !errors.Is(err, want) {
		t.Fatalf("New returned %v, want %v", err, want)
	}
	for _, part := range parts {
		if !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("the error does not mention %q: %v", part, err)
		}
	}
}
