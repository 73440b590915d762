package docker_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/docker"
	"github.com/etcd-drill/etcd-drill/harness/runtimetest"
)

func TestMain(m *testing.M) {
	if err := docker.DisableReaper(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func open(cfg docker.Config) func(t *testing.T) harness.Runtime {
	return func(t *testing.T) harness.Runtime {
		t.Helper()
		cfg.Image = os.Getenv("ETCD_DRILL_IMAGE")
		cfg.Progress = func(line string) { t.Log(line) }
		runtime, err := docker.New(t.Context(), cfg)
		docker.NeedEngine(t, err)
		t.Cleanup(func() {
			if err := runtime.Close(); err != nil {
				t.Error(err)
			}
		})
		return runtime
	}
}

func TestFoldersAndAddresses(t *testing.T) {
	runtimetest.Suite{
		Open:  open(docker.Config{Sharing: docker.SharingBind, Reach: docker.ReachAddress}),
		Other: os.Getenv("ETCD_DRILL_OTHER_VERSION"),
	}.Run(t)
}

func TestVolumesAndAddresses(t *testing.T) {
	runtimetest.Suite{
		Open:  open(docker.Config{Sharing: docker.SharingVolume, Reach: docker.ReachAddress}),
		Sizes: []int{3},
	}.Run(t)
}

func TestFoldersAndPublishedPorts(t *testing.T) {
	runtimetest.Suite{
		Open:  open(docker.Config{Sharing: docker.SharingBind, Reach: docker.ReachPublished}),
		Sizes: []int{1, 3},
	}.RunClusters(t)
}
