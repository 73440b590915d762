package scenarios_test

import (
	"cmp"
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
	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

var update = flag.Bool("update", false, "write the catalogue anew from the specs and run none of them")

func TestScenarios(t *testing.T) {
	preview := PreviewSpecs("scenarios")
	specs := catalogueOf(preview)
	if *update {
		if err := specs.write(); err != nil {
			t.Fatal(err)
		}
		return
	}
	suite.versions = versionsToRun(preview)
	Describe("the catalogue", specs.describe)
	RegisterFailHandler(Fail)
	RunSpecs(t, "scenarios")
}

// base is what all processes of the suite share.
type base struct {
	Cache  string      // where etcd is kept that was built
	Root   string      // of the suite's own folder
	Worker string      // the program that reads and restores files
	Choice host.Choice // the runtime that the first process has chosen; the others must not choose another
}

func (b base) state() string           { return filepath.Join(b.Root, "state") }
func (b base) drills() string          { return filepath.Join(b.Root, "drills") }
func (b base) drill(run string) string { return filepath.Join(b.drills(), run) }

// runs holds an empty file for every run that was opened, named after it.
func (b base) runs() string { return filepath.Join(b.Root, "runs") }

// rig is a process' own way to where members run. It is set before the first spec and stays as it is.
type rig struct {
	base
	versions []string // that the chosen specs ask for by name
	runtime  host.Chosen
	relic    *relic // see remains
}

var suite rig

var _ = SynchronizedBeforeSuite(func(ctx SpecContext) []byte {
	root := must(os.MkdirTemp("", "etcd-drill-scenarios-"))
	cache := must(cacheDir())
	runtime := must(openRuntime(ctx, base{Root: root, Cache: cache}))
	defer runtime.Close()                                             //nolint:errcheck // nothing is lost by closing
	for _, version := range append([]string{""}, suite.versions...) { // what must be built first is not built in the time of a spec
		prepared := must(runtime.Prepare(ctx, version))
		GinkgoWriter.Printf("etcd: %+v; folder %s\n", prepared, root)
		if recovery.NeedsOwnTool(prepared.Version) {
			must(release.Tools{CacheDir: cache}.Etcdutl(ctx, prepared.Version))
		}
	}
	AddReportEntry("runtime", runtime.Name()) // what the tally of all suites reads
	shared := base{Root: root, Cache: cache, Choice: host.Choice(runtime.Name())}
	shared.Worker = must(gexec.Build("github.com/etcd-drill/etcd-drill/cmd/etcd-drill", "-trimpath"))
	for _, dir := range []string{shared.state(), shared.drills(), shared.runs()} {
		Expect(os.Mkdir(dir, 0o700)).To(Succeed())
	}
	return must(json.Marshal(shared))
}, func(ctx SpecContext, shared []byte) {
	Expect(json.Unmarshal(shared, &suite.base)).To(Succeed())
	suite.runtime = must(openRuntime(ctx, suite.base))
	DeferCleanup(suite.runtime.Close)
}, NodeTimeout(15*time.Minute))

// Every drill has closed itself by now. Whatever of theirs is still there was leaked, and is removed after it was counted.
var _ = SynchronizedAfterSuite(func() {}, func(ctx SpecContext) {
	gexec.CleanupBuildArtifacts()
	if suite.runtime.Runtime == nil {
		return // the suite did not begin
	}
	var left []string
	for _, run := range must(os.ReadDir(suite.runs())) {
		left = append(left, must(suite.runtime.Left(ctx, run.Name()))...)
		must(suite.runtime.Sweep(ctx, run.Name()))
	}
	Expect(left).To(BeEmpty(), "left behind by drills that were closed")
	Expect(harness.DeadRuns(suite.state())).To(BeEmpty(), "runs that were not closed")
	if kept := must(os.ReadDir(suite.drills())); len(kept) == 0 {
		Expect(os.RemoveAll(suite.Root)).To(Succeed())
	}
}, NodeTimeout(3*time.Minute))

// openRuntime opens the runtime that ETCD_DRILL_RUNTIME names, or that the suite's first process has chosen. Where an engine
// is asked for by name and none answers, the suite fails; it is never skipped.
func openRuntime(ctx SpecContext, shared base) (host.Chosen, error) {
	return host.Open(ctx, host.Config{
		Choice:   cmp.Or(shared.Choice, host.Choice(os.Getenv("ETCD_DRILL_RUNTIME"))),
		CacheDir: shared.Cache, StateDir: shared.state(),
		Progress: func(line string) { GinkgoWriter.Println(line) },
	}.WithDefaults(os.Getenv("ETCD_DRILL_IMAGE"), os.Getenv("ETCD_DRILL_BINARY")))
}

func cacheDir() (string, error) {
	if cache := os.Getenv("ETCD_DRILL_CACHE_DIR"); cache != "" {
		return cache, nil
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache directory: %w; set ETCD_DRILL_CACHE_DIR", err)
	}
	return filepath.Join(user, "etcd-drill"), nil
}

// tools finds the etcdutl of another version.
func (r rig) tools() release.Tools {
	return release.Tools{CacheDir: r.Cache, Progress: func(line string) { GinkgoWriter.Println(line) }}
}

func (r rig) worker() offline.Worker {
	return offline.Worker{Path: r.Worker, Args: []string{"__worker"}}
}
