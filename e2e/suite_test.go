// Package e2e asks whether a drill would notice if something were wrong: it sabotages real drills, runs the program as a
// user does, and looks for what is left behind. It has no code but its tests.
package e2e

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/onsi/gomega/gexec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/harness/docker"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// suite is what all specs of a process share. It is set before the first of them and only read afterwards.
var suite struct {
	program string // the etcd-drill that was built for this run
	runtime *docker.Runtime
	temp    string // of this process
}

func TestE2E(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "e2e")
}

// The program is built once. A machine without an engine fails here: a suite that skipped itself would look like one that
// has passed.
var _ = SynchronizedBeforeSuite(func() []byte {
	program, err := gexec.Build("github.com/etcd-drill/etcd-drill/cmd/etcd-drill")
	DeferCleanup(gexec.CleanupBuildArtifacts)
	Expect(err).NotTo(HaveOccurred())
	return []byte(program)
}, func(ctx SpecContext, program []byte) {
	suite.program = string(program)
	temp, err := os.MkdirTemp("", "etcd-drill-e2e-")
	DeferCleanup(os.RemoveAll, temp)
	Expect(err).NotTo(HaveOccurred())
	suite.temp = temp

	Expect(docker.DisableReaper()).To(Succeed())
	cache, err := os.UserCacheDir()
	Expect(err).NotTo(HaveOccurred())
	suite.runtime, err = docker.New(ctx, docker.Config{
		Image:    os.Getenv("ETCD_DRILL_IMAGE"),
		CacheDir: filepath.Join(cache, "etcd-drill"),
		Progress: func(line string) { GinkgoWriter.Println(line) },
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(suite.runtime.Close)
	_, err = suite.runtime.Prepare(ctx) // building etcd must not count against the first spec
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(15*time.Minute))

// worker is the program that was built, started as it starts itself.
func worker() recovery.Worker {
	return recovery.Worker{Path: suite.program, Args: []string{"__worker"}}
}

// newFolder returns a path for a folder of this process that does not exist yet; it goes with the suite.
func newFolder(name string) string {
	GinkgoHelper()
	parent, err := os.MkdirTemp(suite.temp, "")
	Expect(err).NotTo(HaveOccurred())
	return filepath.Join(parent, name)
}

// must returns the value, and fails the spec if there is an error.
func must[T any](value T, err error) T {
	GinkgoHelper()
	Expect(err).NotTo(HaveOccurred())
	return value
}
