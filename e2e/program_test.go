package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/onsi/gomega/gexec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/host"
)

// envMark marks every process that a call starts, however deep, so that none of them can stay behind unseen.
const envMark = "DRILL_E2E_MARK" // no variable of etcd's, which members are not given

// user is somebody with a state folder of their own, on whose behalf the program is called.
type user struct {
	home    string // an existing folder that is theirs
	state   string
	choice  host.Choice // where their members run
	program string
	env     []string
	stdin   io.Reader           // of the next call; none if nil
	as      *syscall.Credential // nil for whoever runs the suite
}

func newUser() user {
	GinkgoHelper()
	state := newFolder("state")
	return user{home: filepath.Dir(state), state: state, program: suite.program, choice: host.Choice(suite.runtime.Name())}
}

// runtime opens the one that the user's runs are on.
func (u user) runtime(ctx context.Context) host.Chosen {
	GinkgoHelper()
	return must(openRuntime(ctx, u.choice, u.state))
}

// left names what is still there of a run of this user.
func (u user) left(ctx context.Context, id string) ([]string, error) {
	GinkgoHelper()
	runtime := u.runtime(ctx)
	defer runtime.Close() //nolint:errcheck // nothing is lost by closing
	return runtime.Left(ctx, id)
}

// program is one call of the program.
type program struct {
	*gexec.Session
	user user
	out  string // the folder that --out names; empty if the call has none
	mark string
}

// call starts the program. Whatever becomes of the spec, the process and all that its runs made is gone after it.
func (u user) call(args ...string) *program {
	GinkgoHelper()
	p := &program{user: u, mark: harness.NewRunID()}
	cmd := exec.Command(u.program, args...)
	cmd.Env = append(append(os.Environ(), "ETCD_DRILL_STATE_DIR="+u.state,
		"ETCD_DRILL_RUNTIME="+string(u.choice), envMark+"="+p.mark,
		"GITHUB_ACTIONS=", "GITHUB_STEP_SUMMARY=", "GITHUB_OUTPUT="), u.env...) // the suite's own job has others to tell
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: u.as}
	cmd.Dir = u.home
	cmd.Stdin = u.stdin
	GinkgoWriter.Println("etcd-drill", strings.Join(args, " "))
	session, err := gexec.Start(cmd, GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	p.Session = session
	DeferCleanup(func(ctx SpecContext) {
		session.Kill()
		Eventually(ctx, session).WithTimeout(10 * time.Second).Should(gexec.Exit())
		runs := p.runs()
		if len(runs) == 0 {
			return // and the call may have asked for a runtime that is not here
		}
		runtime := u.runtime(ctx)
		defer runtime.Close() //nolint:errcheck // nothing is lost by closing
		for _, id := range runs {
			must(runtime.Sweep(ctx, id))
		}
	}, NodeTimeout(time.Minute))
	return p
}

// drill starts a drill with a new folder.
func (u user) drill(args ...string) *program {
	GinkgoHelper()
	out := filepath.Join(u.home, "out-"+harness.NewRunID())
	p := u.call(append([]string{"run", "--out", out}, args...)...)
	p.out = out
	return p
}

// ends waits for the exit code.
func (p *program) ends(ctx context.Context, code int, within time.Duration) {
	GinkgoHelper()
	Eventually(ctx, p.Session).WithTimeout(within).WithPolling(20*time.Millisecond).Should(gexec.Exit(code),
		func() string { return string(p.Out.Contents()) + string(p.Err.Contents()) })
}

// drills are the folders of its drills: the one that --out names, or those in it.
func (p *program) drills() []string {
	logs, err := filepath.Glob(filepath.Join(p.out, "*", "events.jsonl"))
	Expect(err).NotTo(HaveOccurred())
	if _, err := os.Stat(filepath.Join(p.out, "events.jsonl")); err == nil {
		logs = append(logs, filepath.Join(p.out, "events.jsonl"))
	}
	for i := range logs {
		logs[i] = filepath.Dir(logs[i])
	}
	return logs
}

// runs are the IDs of its drills, as far as they have begun.
func (p *program) runs() []string {
	var ids []string
	for _, dir := range p.drills() {
		for _, e := range eventsIn(dir) {
			if id := ""; e.Name == drill.EventOpened {
				fmt.Sscanf(e.Text, "run %8s", &id) //nolint:errcheck // an empty ID fails the caller
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// eventsIn reads an event log as far as it was written.
func eventsIn(dir string) []drill.Event {
	text, err := os.ReadFile(filepath.Join(dir, "events.jsonl"))
	if err != nil {
		return nil
	}
	var events []drill.Event
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var e drill.Event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			events = append(events, e)
		}
	}
	return events
}

// reaches waits until the drill has logged this moment.
func (p *program) reaches(ctx context.Context, moment drill.EventName) {
	GinkgoHelper()
	Eventually(ctx, func() ([]drill.EventName, error) {
		if code := p.ExitCode(); code >= 0 {
			return nil, StopTrying(fmt.Sprintf("it ended with code %d: %s%s", code, p.Out.Contents(), p.Err.Contents()))
		}
		return p.moments(), nil
	}).WithTimeout(90 * time.Second).WithPolling(3 * time.Millisecond).Should(ContainElement(moment))
}

func (p *program) moments() []drill.EventName {
	var names []drill.EventName
	for _, dir := range p.drills() {
		for _, e := range eventsIn(dir) {
			names = append(names, e.Name)
		}
	}
	return names
}

// expectNothingLeft asks the runtime, the state folder and the kernel. The data in the drill folder is another matter.
func (p *program) expectNothingLeft(ctx context.Context) {
	GinkgoHelper()
	runs := p.runs()
	Expect(runs).NotTo(BeEmpty())
	for _, id := range runs {
		Expect(p.user.left(ctx, id)).To(BeEmpty(), "of run %s", id)
		Expect(filepath.Join(p.user.state, id+".jsonl")).NotTo(BeAnExistingFile())
		Expect(filepath.Join(p.user.state, "processes", id+".jsonl")).NotTo(BeAnExistingFile())
	}
	Eventually(ctx, p.processes).WithTimeout(5*time.Second).Should(BeEmpty(), "processes that it started")
}

// processes are the living ones that carry the call's mark.
func (p *program) processes() []string {
	if runtime.GOOS != "linux" {
		return nil // nobody else tells another process's environment
	}
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	Expect(err).NotTo(HaveOccurred())
	var found []string
	for _, path := range environs {
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte(envMark+"="+p.mark+"\x00")) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline")) // for the message only
			found = append(found, fmt.Sprintf("%s %q", path, command))
		}
	}
	return found
}

// document decodes what must be exactly one JSON document.
func document(text []byte) map[string]any {
	GinkgoHelper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	var doc map[string]any
	Expect(decoder.Decode(&doc)).To(Succeed(), "%s", text)
	_, err := decoder.Token()
	Expect(err).To(MatchError(io.EOF), "something follows the document: %s", text)
	return doc
}

// everyFile calls look with every file and folder below dir.
func everyFile(dir string, look func(path string, info fs.FileInfo)) {
	GinkgoHelper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			look(path, info)
		}
		return err
	})
	Expect(err).NotTo(HaveOccurred())
}
