package e2e

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// action is as much of action.yml as decides what a step does.
type action struct {
	Inputs  map[string]struct{ Default string }
	Outputs map[string]struct{ Value string }
	Runs    struct {
		Steps []struct {
			ID, Run string
			Env     map[string]string
		}
	}
}

// workflow is as much of a workflow.
type workflow struct {
	Jobs map[string]struct {
		Steps []struct {
			Uses string
			With map[string]string
		}
	}
}

func fromYAML[T any](path string) (value T) {
	GinkgoHelper()
	Expect(yaml.Unmarshal(must(os.ReadFile(path)), &value)).To(Succeed())
	return value
}

// step is the action, taken with these inputs in a job, as GitHub's runner would.
type step struct {
	*program
	outputs string // the file that the step appends to
}

// take runs the one command of the action. It is not given the sources to build from, but the program under test.
func (u user) take(with map[string]string) step {
	GinkgoHelper()
	a := fromYAML[action]("../action.yml")
	Expect(a.Inputs).NotTo(BeEmpty())
	for name := range with {
		Expect(a.Inputs).To(HaveKey(name), "the action has no such input")
	}
	temp := filepath.Join(u.home, "runner")
	Expect(os.MkdirAll(temp, 0o700)).To(Succeed())
	u.env = []string{
		"GITHUB_ACTIONS=true", "GITHUB_OUTPUT=" + filepath.Join(temp, "outputs"), "GITHUB_STEP_SUMMARY=" + filepath.Join(temp, "summary.md"),
		"GITHUB_ACTION_PATH=" + must(filepath.Abs("..")), "RUNNER_TEMP=" + temp, "ETCD_DRILL_PROGRAM=" + u.program,
	}
	command := a.Runs.Steps[len(a.Runs.Steps)-1]
	Expect(command.ID).To(Equal("drill"))
	taken := 0
	for name, value := range command.Env {
		input := regexp.MustCompile(`^\$\{\{ inputs\.([a-z-]+) \}\}$`).FindStringSubmatch(value)
		Expect(input).NotTo(BeNil(), "%s is %q", name, value)
		Expect(a.Inputs).To(HaveKey(input[1]))
		given, ok := with[input[1]]
		if !ok {
			given = a.Inputs[input[1]].Default
		}
		u.env = append(u.env, name+"="+given)
		taken++
	}
	Expect(taken).To(Equal(len(a.Inputs)), "an input is not handed on")
	Expect(command.Run).NotTo(ContainSubstring("${{"), "an input could change the command")
	u.program = "bash"
	s := step{program: u.call("--noprofile", "--norc", "-eo", "pipefail", "-c", command.Run), outputs: filepath.Join(temp, "outputs")}
	s.out = temp
	return s
}

// output is what a later step reads under this name of the action.
func (s step) output(name string) string {
	GinkgoHelper()
	value := fromYAML[action]("../action.yml").Outputs[name].Value
	Expect(value).To(MatchRegexp(`^\$\{\{ steps\.drill\.outputs\.[a-z]+ \}\}$`))
	key := strings.TrimSuffix(strings.TrimPrefix(value, "${{ steps.drill.outputs."), " }}")
	for line := range strings.Lines(string(must(os.ReadFile(s.outputs)))) {
		if found, ok := strings.CutPrefix(line, key+"="); ok {
			return strings.TrimSpace(found)
		}
	}
	Fail("no output " + key)
	return ""
}

// stepWithin is how long a step may take where an etcd has to be built first.
const stepWithin = 5 * time.Minute

func (s step) endsAs(ctx context.Context, code int) {
	GinkgoHelper()
	s.ends(ctx, code, stepWithin)
	s.expectNothingLeft(ctx)
}

var _ = Describe("the action", Label("cli", "etcd"), func() {
	It("fails when the recovery takes longer than its target", func(ctx SpecContext) {
		s := newUser().take(map[string]string{"source": "db", "rto": "1ms", "args": "--lose all\n --keys 300"})
		s.endsAs(ctx, 1)
		Expect(string(s.Err.Contents())).To(ContainSubstring("::error title=etcd-drill%3A intact%2C target missed::"))
		Expect(s.output("verdict")).To(Equal("intact"))
		Expect(s.output("result")).To(Equal("failed"))
		Expect(must(time.ParseDuration(s.output("rto")))).To(BeNumerically(">", time.Millisecond))
		Expect(must(time.ParseDuration(s.output("rpo")))).To(BeNumerically(">=", 0))
		Expect(s.output("lost")).To(MatchRegexp(`^\d+$`))
		Expect(filepath.Join(s.output("folder"), "report.html")).To(BeARegularFile())
	}, SpecTimeout(stepWithin))

	It("keeps no data of a drill that proves nothing, since its folder is uploaded", func(ctx SpecContext) {
		s := newUser().take(map[string]string{"source": "db", "args": "--lose all --keys 2000000 --timeout 5s"})
		s.endsAs(ctx, 2)
		Expect(s.output("verdict")).To(Equal("inconclusive"))
		Expect(s.output("rto")).To(BeEmpty())
		Expect(filepath.Join(s.output("folder"), "junit.xml")).To(BeARegularFile())
		Expect(filepath.Join(s.output("folder"), "work")).NotTo(BeADirectory())
	}, SpecTimeout(stepWithin))

	It("refuses a wrong input, and takes nothing for a command", func(ctx SpecContext) {
		s := newUser().take(map[string]string{"rto": "$(touch here); soon"})
		s.ends(ctx, 64, time.Minute)
		Expect(string(s.Err.Contents())).To(ContainSubstring(`invalid argument "$(touch here); soon" for "--rto"`))
		Expect(filepath.Join(s.user.home, "here")).NotTo(BeAnExistingFile())
	}, SpecTimeout(time.Minute))

	example := fromExample()
	for job, with := range example {
		It("does what the example does in the job "+job, func(ctx SpecContext) {
			u := newUser()
			u.put("backup.db", must(os.ReadFile(kubernetesBackup)))
			s := u.take(with)
			s.endsAs(ctx, 0)
			Expect(s.output("result")).To(Equal("passed"))
		}, SpecTimeout(stepWithin))
	}
	It("has an example", func() { Expect(example).To(HaveLen(2)) })
})

// fromExample returns with what the jobs of the example call the action.
func fromExample() map[string]map[string]string {
	var example workflow
	text, err := os.ReadFile("../docs/examples/drill.yml")
	if err == nil {
		err = yaml.Unmarshal(text, &example)
	}
	if err != nil {
		panic(err) // the tree of specs cannot be made
	}
	calls := map[string]map[string]string{}
	for job, what := range example.Jobs {
		for _, step := range what.Steps {
			if strings.HasPrefix(step.Uses, "etcd-drill/etcd-drill@") {
				calls[job] = step.With
			}
		}
	}
	return calls
}
