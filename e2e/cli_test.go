package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/harness/host"
)

// Every script in testdata is a session at a shell. Beside testscript's own commands there are
//
//	drill CODE ARGS...   runs etcd-drill, which must exit with this code
//	within D             what the last drill command may have taken at most
//	json                 standard output holds one JSON document and nothing else
//	[engine]             is true where the suite has a container engine
var _ = Describe("the command line", Label("cli"), func() {
	scripts := must(filepath.Glob("testdata/*.txtar"))

	It("has scripts", func() { Expect(len(scripts)).To(BeNumerically(">=", 6)) })

	for _, script := range scripts {
		It("does what is written in "+filepath.Base(script), func(SpecContext) { play(script) }, SpecTimeout(time.Minute))
	}
})

var _ = Describe("two plans of one seed", Label("cli"), func() {
	It("have the same victims and another token, and one of another seed has others", func(ctx SpecContext) {
		type preview struct {
			Victims          []string
			Token, ClusterID string
		}
		plan := func(seed string) preview {
			p := newUser().call("plan", "--members", "9", "--lose", "5", "--source", "db", "--seed", seed, "-w", "json")
			p.ends(ctx, 0, 10*time.Second)
			var previews []preview
			Expect(json.Unmarshal(p.Out.Contents(), &previews)).To(Succeed())
			Expect(previews).To(HaveLen(1))
			return previews[0]
		}
		first, again, other := plan("7"), plan("7"), plan("8")
		Expect(first.Victims).To(HaveLen(5))
		Expect(again.Victims).To(Equal(first.Victims))
		Expect(again.Token).NotTo(Equal(first.Token))
		Expect(again.ClusterID).NotTo(Equal(first.ClusterID))
		Expect(other.Victims).NotTo(Equal(first.Victims))
	}, SpecTimeout(30*time.Second))
})

func play(script string) {
	var last time.Duration
	params := testscript.Params{Files: []string{script}, Setup: func(env *testscript.Env) error {
		env.Setenv("PATH", filepath.Dir(suite.program))
		env.Setenv("HOME", env.WorkDir)
		env.Setenv("ETCD_DRILL_STATE_DIR", filepath.Join(env.WorkDir, "state"))
		env.Setenv("ETCD_DRILL_CACHE_DIR", filepath.Join(env.WorkDir, "cache"))
		env.Setenv("DOCKER_HOST", os.Getenv("DOCKER_HOST"))
		env.Setenv("ETCD_DRILL_RUNTIME", suite.runtime.Name())
		return nil
	}}
	params.Condition = func(name string) (bool, error) {
		if name != "engine" {
			return false, fmt.Errorf("unknown condition %q", name)
		}
		return suite.runtime.Name() == string(host.Docker), nil
	}
	params.Cmds = map[string]func(*testscript.TestScript, bool, []string){
		"drill": func(ts *testscript.TestScript, _ bool, args []string) {
			start := time.Now()
			err := ts.Exec("etcd-drill", args[1:]...)
			last = time.Since(start)
			got := 0
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				got = exit.ExitCode()
			} else if err != nil {
				ts.Fatalf("%v", err)
			}
			if args[0] != strconv.Itoa(got) {
				ts.Fatalf("exit code %d, want %s", got, args[0])
			}
		},
		"within": func(ts *testscript.TestScript, _ bool, args []string) {
			if limit := must(time.ParseDuration(args[0])); last > limit {
				ts.Fatalf("it took %s, which is longer than %s", last, limit)
			}
		},
		"json": func(ts *testscript.TestScript, _ bool, _ []string) {
			decoder := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
			var doc any
			ts.Check(decoder.Decode(&doc))
			if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
				ts.Fatalf("something follows the JSON document: %v", err)
			}
		},
	}
	testscript.RunT(scriptT{}, params)
}

// scriptT lets testscript report to Ginkgo.
type scriptT struct{}

func (scriptT) Skip(args ...any)                          { Skip(strings.TrimSpace(fmt.Sprint(args...))) }
func (scriptT) Fatal(args ...any)                         { Fail(fmt.Sprint(args...), 1) }
func (scriptT) FailNow()                                  { Fail("the script failed; its log is above", 1) }
func (scriptT) Log(args ...any)                           { GinkgoWriter.Println(args...) }
func (scriptT) Parallel()                                 {}
func (scriptT) Verbose() bool                             { return true }
func (t scriptT) Run(_ string, play func(t testscript.T)) { play(t) }
