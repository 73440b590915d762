package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

var _ = Describe("a backup that came back", Label("cli", "etcd", "sabotage"), Ordered, ContinueOnFailure, func() {
	var whole string
	BeforeAll(func(ctx SpecContext) {
		p := newUser().drill("--snapshot", absolute(kubernetesBackup))
		p.ends(ctx, 0, ownWithin)
		whole = p.out
	}, NodeTimeout(ownWithin))

	DescribeTable("did not, if", func(ctx SpecContext, outcome verify.Outcome, kind verify.Kind, member string, sabotage func(dir string)) {
		dir := newFolder("sabotaged")
		Expect(os.CopyFS(dir, os.DirFS(whole))).To(Succeed())
		sabotage(dir)
		verdict := judged(ctx, dir, map[verify.Outcome]int{verify.Damaged: 1, verify.Inconclusive: 2}[outcome])
		Expect(verdict.Outcome).To(Equal(outcome))
		Expect(verdict.Findings).To(ContainElement(And(HaveField("Kind", kind), HaveField("Member", member))))
	},
		convicts("a member has another value", verify.Changed, "m2", line("members/m2/keyspace.jsonl", 5, `"d":"`, `"d":"0`)),
		convicts("a member says that a key was made earlier", verify.Changed, "m1", line("members/m1/keyspace.jsonl", 9, `"cr":`, `"cr":1`)),
		convicts("a member lacks a key", verify.Missing, "m3", line("members/m3/keyspace.jsonl", 7, "{", "")),
		convicts("a member has a key more", verify.Phantom, "m2", line("members/m2/keyspace.jsonl", -1, `{"end"`,
			`{"k":"/zzz","d":"00","cr":5,"mr":5,"v":1}`+"\n"+`{"end"`)),
		convicts("a member's history is another one", verify.Changed, "m3", line("members/m3/history.jsonl", 100, `"d":"`, `"d":"0`)),
		convicts("a member grants a lease for longer", verify.Changed, "m1", line("members/m1/leases.jsonl", 0, `"ttl":`, `"ttl":9`)),
		convicts("a member has another hash", verify.Diverged, "m2", inEvidence(func(plain map[string]any) {
			memberOf(plain, 1)["hashKV"] = 5
		})),
		convicts("a member asks who its clients are", verify.Changed, "m2", inEvidence(func(plain map[string]any) {
			memberOf(plain, 1)["state"].(map[string]any)["auth"].(map[string]any)["enabled"] = true
		})),
		convicts("a member has the ID of an old one", verify.StaleID, "m1", inEvidence(func(plain map[string]any) {
			memberOf(plain, 0)["id"] = plain["identity"].(map[string]any)["oldMembers"].([]any)[0]
		})),
		convicts("a member was restored from another file", verify.MixedSource, "m3", inEvidence(func(plain map[string]any) {
			memberOf(plain, 2)["sourceSHA256"] = "another"
		})),
		convicts("no write was acknowledged afterwards", verify.Dead, "", inEvidence(func(plain map[string]any) {
			plain["canary"].(map[string]any)["acknowledged"] = false
		})),
		Entry("a member was not read", verify.Inconclusive, verify.NoEvidence, "", inEvidence(func(plain map[string]any) {
			plain["reborn"] = plain["reborn"].([]any)[:2]
		}), SpecTimeout(time.Minute)),
	)
})

// convicts is an entry: what is done to the evidence, and of what that is found guilty.
func convicts(name string, kind verify.Kind, member string, sabotage func(dir string)) TableEntry {
	return Entry(name, verify.Damaged, kind, member, sabotage, SpecTimeout(time.Minute))
}

// line changes one line of a file of the evidence, from 0, or from the end below 0: a part of it to something else; all of it goes if
// nothing takes the place of its beginning.
func line(file string, number int, from, to string) func(dir string) {
	return func(dir string) {
		GinkgoHelper()
		path := filepath.Join(dir, file)
		lines := strings.SplitAfter(strings.TrimSuffix(string(must(os.ReadFile(path))), "\n"), "\n")
		if number < 0 {
			number += len(lines)
		}
		Expect(lines[number]).To(ContainSubstring(from))
		if lines[number] = strings.Replace(lines[number], from, to, 1); to == "" {
			lines[number] = ""
		}
		Expect(os.WriteFile(path, []byte(strings.Join(lines, "")+"\n"), 0o600)).To(Succeed())
	}
}

func inEvidence(change func(plain map[string]any)) func(dir string) {
	return func(dir string) {
		GinkgoHelper()
		path := filepath.Join(dir, "evidence.json")
		plain := document(must(os.ReadFile(path)))
		change(plain)
		Expect(os.WriteFile(path, must(json.Marshal(plain)), 0o600)).To(Succeed())
	}
}

func memberOf(plain map[string]any, i int) map[string]any {
	return plain["reborn"].([]any)[i].(map[string]any)
}

// judged has the program judge the folder again.
func judged(ctx context.Context, dir string, code int) verify.Verdict {
	GinkgoHelper()
	p := newUser().call("verify", dir, "-w", "json")
	p.ends(ctx, code, time.Minute)
	var told struct {
		Verdict verify.Verdict `json:"verdict"`
	}
	Expect(json.Unmarshal(p.Out.Contents(), &told)).To(Succeed())
	return told.Verdict
}
