// Package e2e asks whether a drill would notice if something were wrong: it sabotages real drills, runs the program as a
// user does, and looks for what is left behind. It has no code but its tests.
package e2e

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"

	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// suite is what all specs of a process share. It is set before the first of them and only read afterwards.
var suite struct {
	program string // the etcd-drill that was built for this run
	runtime host.Chosen
	temp    string // of this process
}

func TestE2E(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "e2e")
}

// The program is built once, and one runtime chosen for all specs. Where an engine is asked for by name and none answers,
// the suite fails here: one that skipped itself would look like one that has passed.
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

	suite.runtime, err = openRuntime(ctx, host.Choice(os.Getenv("ETCD_DRILL_RUNTIME")), newFolder("state"))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(suite.runtime.Close)
	AddReportEntry("runtime", suite.runtime.Name()) // what the tally of all suites reads
	_, err = suite.runtime.Prepare(ctx, "")         // building etcd must not count against the first spec
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(15*time.Minute))

// openRuntime opens a runtime that knows the runs whose records lie in this state folder.
func openRuntime(ctx context.Context, choice host.Choice, state string) (host.Chosen, error) {
	return host.Open(ctx, host.Config{
		Choice: choice, CacheDir: cacheDir(), StateDir: state,
		Progress: func(line string) { GinkgoWriter.Println(line) },
	}.WithDefaults(os.Getenv("ETCD_DRILL_IMAGE"), os.Getenv("ETCD_DRILL_BINARY")))
}

func cacheDir() string {
	GinkgoHelper()
	return filepath.Join(must(os.UserCacheDir()), "etcd-drill")
}

// onEngine skips the spec, with the reason, where the suite runs without an engine.
func onEngine() {
	GinkgoHelper()
	if suite.runtime.Name() != string(host.Docker) {
		Skip("needs a container engine: " + cmp.Or(suite.runtime.Why, "ETCD_DRILL_RUNTIME asks for none"))
	}
}

// worker is the program that was built, started as it starts itself.
func worker() offline.Worker {
	return offline.Worker{Path: suite.program, Args: []string{"__worker"}}
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
