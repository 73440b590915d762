package process_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/harness/process"
)

// TestMemberOnAFullDiskSaysSo gives two members less room than one write-ahead log takes.
func TestMemberOnAFullDiskSaysSo(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	small := t.TempDir()
	check(t, unix.Mount("tmpfs", small, "tmpfs", 0, "size=40m,mode=700"))
	defer func() { check(t, unix.Unmount(small, 0)) }()
	rt := runtimeWith(t, process.Config{})
	run, err := harness.NewRun(harness.RunConfig{StateDir: t.TempDir(), WorkDir: filepath.Join(small, "work")})
	check(t, err)
	site, err := rt.Open(t.Context(), run)
	check(t, err)
	layout, err := harness.NewLayout(site, 2, identity.FreshToken())
	check(t, err)
	cluster, err := harness.Prepare(t.Context(), site, harness.Birth{Layout: layout})
	check(t, err)

	began := time.Now()
	err = cluster.Start(t.Context())
	if err == nil {
		err = cluster.AwaitReady(t.Context(), time.Minute)
	}
	if err == nil || !strings.Contains(err.Error(), "no space left on device") || !strings.Contains(err.Error(), "m1 ended with code") {
		t.Errorf("members on a full disk: %v", err)
	}
	if waited := time.Since(began); waited > 20*time.Second {
		t.Errorf("it took %s to notice", waited)
	}

	check(t, site.Close(t.Context(), false))
	check(t, run.Close(false))
	left, err := rt.Left(t.Context(), run.ID())
	check(t, err)
	files, err := os.ReadDir(small)
	check(t, err)
	if len(left) > 0 || len(files) > 0 {
		t.Errorf("left on the full disk: %q, %v", left, files)
	}
}

// TestTakenPortIsAnErrorAtOnce takes the port of a member that is not running.
func TestTakenPortIsAnErrorAtOnce(t *testing.T) {
	rt := runtimeWith(t, process.Config{})
	run, err := harness.NewRun(harness.RunConfig{StateDir: t.TempDir(), WorkDir: filepath.Join(t.TempDir(), "work")})
	check(t, err)
	defer func() { check(t, run.Close(false)) }()
	site, err := rt.Open(t.Context(), run)
	check(t, err)
	defer func() { check(t, site.Close(t.Context(), false)) }()
	place, err := site.Place("m1")
	check(t, err)
	disk, err := site.NewDisk(t.Context(), "m1")
	check(t, err)
	node, err := site.NewNode(t.Context(), harness.NodeSpec{
		Name: "m1", Disk: disk,
		Args: []string{"--listen-client-urls=" + place.ListenClientURL, "--listen-peer-urls=" + place.ListenPeerURL},
	})
	check(t, err)

	squatter := listen(t, strings.TrimPrefix(place.ListenPeerURL, "http://"))
	err = node.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "start node m1: another program has the port of --listen-peer-urls") {
		t.Errorf("starting on a taken port: %v", err)
	}
	check(t, squatter.Close())
	check(t, node.Start(t.Context()))
}
