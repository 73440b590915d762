package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/internal/report"
)

// The evidence that stays in every drill folder, whatever --keep says.
func evidenceFiles() []string {
	files := []string{
		"drill.json", "events.jsonl", "ledger.jsonl", "lost.jsonl", "plan.txt", "evidence.json", "verdict.json", "report.json",
		"source/source.json", "source/history.jsonl", "source/keyspace.jsonl", "source/leases.jsonl", "source/state.json",
	}
	for _, name := range []string{"m1", "m2", "m3", "m4", "m5"} {
		for _, file := range []string{"etcd.log", "history.jsonl", "keyspace.jsonl", "leases.jsonl"} {
			files = append(files, "members/"+name+"/"+file)
		}
	}
	return files
}

// pairWithin bounds both drills together. It is every spec's own limit, too: Ginkgo counts what comes before the first one.
const pairWithin = 4 * time.Minute

var token = regexp.MustCompile(`--initial-cluster-token (\S+)`)

// numbered replaces every different match by its number: processes listen on other addresses in every run.
func numbered(pattern *regexp.Regexp, text string) string {
	seen := map[string]string{}
	return pattern.ReplaceAllStringFunc(text, func(match string) string {
		if seen[match] == "" {
			seen[match] = fmt.Sprintf("ADDRESS%d", len(seen)+1)
		}
		return seen[match]
	})
}

var _ = Describe("two drills of the same seed", Label("cli", "etcd"), Ordered, func() {
	args := []string{"--members", "5", "--lose", "3", "--fault", "wipe", "--source", "snapshot", "--backup", "before", "--seed", "7",
		"--keys", "500"}
	var first, second *program
	var reports []report.Report

	BeforeAll(func(ctx SpecContext) {
		first = newUser().drill(args...)
		second = newUser().drill(append(args, "-w", "json")...)
		first.ends(ctx, 0, 2*time.Minute)
		second.ends(ctx, 0, 2*time.Minute)
		for _, p := range []*program{first, second} {
			file := must(os.Open(filepath.Join(p.out, "report.json")))
			reports = append(reports, must(report.Read(file)))
			Expect(file.Close()).To(Succeed())
		}
	}, NodeTimeout(pairWithin))

	It("name the same victims, as the plan does", func(ctx SpecContext) {
		Expect(reports[0].Outage.Victims).To(HaveLen(3))
		Expect(reports[1].Outage.Victims).To(Equal(reports[0].Outage.Victims))

		var previews []struct{ Victims []string }
		planned := newUser().call(append(append([]string{"plan"}, args...), "-w", "json")...)
		planned.ends(ctx, 0, 10*time.Second)
		Expect(json.Unmarshal(planned.Out.Contents(), &previews)).To(Succeed())
		Expect(previews).To(HaveLen(1))
		Expect(previews[0].Victims).To(Equal(reports[0].Outage.Victims))
	}, SpecTimeout(pairWithin))

	It("have plans of one shape and different tokens", func(SpecContext) {
		var shapes, tokens []string
		for _, p := range []*program{first, second} {
			plan := string(must(os.ReadFile(filepath.Join(p.out, "plan.txt"))))
			found := token.FindStringSubmatch(plan)
			Expect(found).To(HaveLen(2), plan)
			tokens = append(tokens, found[1])
			plan = strings.NewReplacer(found[1], "TOKEN", p.out, "OUT").Replace(plan)
			shapes = append(shapes, numbered(regexp.MustCompile(`127\.[0-9.]+:\d+`), plan))
		}
		Expect(shapes[1]).To(Equal(shapes[0]))
		Expect(strings.Count(shapes[0], "etcdutl snapshot restore OUT/source/backup.db --name m")).To(Equal(5), shapes[0])
		Expect(tokens[1]).NotTo(Equal(tokens[0]))
		Expect(reports[1].Identity.NewCluster).NotTo(Equal(reports[0].Identity.NewCluster))
	}, SpecTimeout(pairWithin))

	It("write the result to standard output and the progress to standard error", func(SpecContext) {
		Expect(string(first.Out.Contents())).To(And(
			ContainSubstring("drill 1/1 5 members, 3 wiped, snapshot saved before"), ContainSubstring("\n INTACT   "),
			ContainSubstring("1 of 1 intact in "), ContainSubstring("nothing left behind"),
			Not(ContainSubstring("starting 5 members")), Not(ContainSubstring("\x1b"))))
		Expect(string(first.Err.Contents())).To(And(
			ContainSubstring("starting 5 members"), ContainSubstring("fencing old m"), Not(ContainSubstring("INTACT")),
			Not(ContainSubstring("\x1b")), Not(ContainSubstring("\r"))))
		doc := document(second.Out.Contents())
		Expect(doc).To(HaveKeyWithValue("drills", HaveLen(1)))
		Expect(doc["drills"].([]any)[0]).To(HaveKeyWithValue("verdict", HaveKeyWithValue("outcome", "intact")))
	}, SpecTimeout(pairWithin))

	It("leave nothing but their evidence", func(ctx SpecContext) {
		for _, p := range []*program{first, second} {
			p.expectNothingLeft(ctx)
			for _, name := range evidenceFiles() {
				Expect(filepath.Join(p.out, name)).To(BeARegularFile())
			}
			Expect(filepath.Join(p.out, "work")).NotTo(BeAnExistingFile())
			Expect(filepath.Join(p.out, "source", "backup.db")).NotTo(BeAnExistingFile())
		}
	}, SpecTimeout(pairWithin))

	It("let nobody else read their folders, which hold no values", func(SpecContext) {
		valueHead := regexp.MustCompile(`w\d\d s\d{6} `) // as the load begins every value
		files := 0
		everyFile(first.out, func(path string, info fs.FileInfo) {
			if info.IsDir() {
				Expect(info.Mode().Perm()).To(Equal(fs.FileMode(0o700)), path)
				return
			}
			files++
			Expect(info.Mode().Perm()).To(Equal(fs.FileMode(0o600)), path)
			Expect(valueHead.Find(must(os.ReadFile(path)))).To(BeEmpty(), path)
		})
		Expect(files).To(BeNumerically(">=", len(evidenceFiles())))
	}, SpecTimeout(pairWithin))

	It("are judged again as they were, by somebody without an engine", func(ctx SpecContext) {
		for _, p := range []*program{first, second} {
			before := must(os.ReadFile(filepath.Join(p.out, "verdict.json")))
			judge := newUser()
			judge.env = []string{"DOCKER_HOST=unix:///nobody.sock"}
			again := judge.call("verify", p.out)
			again.ends(ctx, 0, 20*time.Second)
			Expect(string(again.Err.Contents())).To(Equal("judged again: intact, as stored\n"))
			Expect(string(again.Out.Contents())).To(ContainSubstring(" INTACT   "))
			Expect(bytes.Equal(before, must(os.ReadFile(filepath.Join(p.out, "verdict.json"))))).To(BeTrue(), "it changed the folder")
		}
		again := newUser().call("verify", first.out, "-w", "json")
		again.ends(ctx, 0, 20*time.Second)
		Expect(document(again.Out.Contents())).To(HaveKeyWithValue("verdict", HaveKeyWithValue("outcome", "intact")))
	}, SpecTimeout(pairWithin))
})
