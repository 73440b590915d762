package scenarios_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gexec"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/docker"
	"github.com/etcd-drill/etcd-drill/recovery"
)

var update = flag.Bool("update", false, "write the catalogue anew from the specs and run none of them")

func TestScenarios(t *testing.T) {
	if err := docker.DisableReaper(); err != nil {
		t.Fatal(err)
	}
	specs := catalogueOf(PreviewSpecs("scenarios"))
	if *update {
		if err := specs.write(); err != nil {
			t.Fatal(err)
		}
		return
	}
	Describe("the catalogue", specs.describe)
	RegisterFailHandler(Fail)
	RunSpecs(t, "scenarios")
}

// base is what all processes of the suite share.
type base struct {
	Root   string // of the suite's own folder
	Worker string // the program that reads and restores files
}

func (b base) state() string           { return filepath.Join(b.Root, "state") }
func (b base) drills() string          { return filepath.Join(b.Root, "drills") }
func (b base) drill(run string) string { return filepath.Join(b.drills(), run) }

// runs holds an empty file for every run that was opened, named after it.
func (b base) runs() string { return filepath.Join(b.Root, "runs") }

// rig is a process' own way to the engine. It is set before the first spec and stays as it is.
type rig struct {
	base
	runtime *docker.Runtime
}

var suite rig

var _ = SynchronizedBeforeSuite(func(ctx SpecContext) []byte {
	runtime := must(openRuntime(ctx))
	defer runtime.Close()                  //nolint:errcheck // nothing is lost by closing
	prepared := must(runtime.Prepare(ctx)) // an image that must be built first is not built in the time of a spec
	root := must(os.MkdirTemp("", "etcd-drill-scenarios-"))
	GinkgoWriter.Printf("etcd: %+v; folder %s\n", prepared, root)
	shared := base{Root: root, Worker: must(gexec.Build("github.com/etcd-drill/etcd-drill/cmd/etcd-drill", "-trimpath"))}
	for _, dir := range []string{shared.state(), shared.drills(), shared.runs()} {
		Expect(os.Mkdir(dir, 0o700)).To(Succeed())
	}
	return must(json.Marshal(shared))
}, func(ctx SpecContext, shared []byte) {
	Expect(json.Unmarshal(shared, &suite.base)).To(Succeed())
	suite.runtime = must(openRuntime(ctx))
	DeferCleanup(suite.runtime.Close)
}, NodeTimeout(15*time.Minute))

// Every drill has closed itself by now. Whatever of theirs is still on the engine was leaked, and is removed by being counted.
var _ = SynchronizedAfterSuite(func() {}, func(ctx SpecContext) {
	gexec.CleanupBuildArtifacts()
	if suite.runtime == nil {
		return // the suite did not begin
	}
	var left []string
	for _, run := range must(os.ReadDir(suite.runs())) {
		if n := must(suite.runtime.Sweep(ctx, run.Name())); n > 0 {
			left = append(left, fmt.Sprintf("%d things of run %s", n, run.Name()))
		}
	}
	Expect(left).To(BeEmpty(), "left on the engine with the label io.etcd-drill.run")
	Expect(harness.DeadRuns(suite.state())).To(BeEmpty(), "runs that were not closed")
	if kept := must(os.ReadDir(suite.drills())); len(kept) == 0 {
		Expect(os.RemoveAll(suite.Root)).To(Succeed())
	}
}, NodeTimeout(3*time.Minute))

// openRuntime connects to the runtime that ETCD_DRILL_RUNTIME names. Without an engine the suite fails; it is never skipped.
func openRuntime(ctx SpecContext) (*docker.Runtime, error) {
	switch name := os.Getenv("ETCD_DRILL_RUNTIME"); name {
	case "", "auto", "docker":
	default:
		return nil, fmt.Errorf("ETCD_DRILL_RUNTIME=%s: choose docker or auto", name)
	}
	cache := os.Getenv("ETCD_DRILL_CACHE_DIR")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find cache directory: %w; set ETCD_DRILL_CACHE_DIR", err)
		}
		cache = filepath.Join(user, "etcd-drill")
	}
	return docker.New(ctx, docker.Config{
		Image: os.Getenv("ETCD_DRILL_IMAGE"), CacheDir: cache,
		Progress: func(line string) { GinkgoWriter.Println(line) },
	})
}

func (r rig) worker() recovery.Worker {
	return recovery.Worker{Path: r.Worker, Args: []string{"__worker"}}
}
