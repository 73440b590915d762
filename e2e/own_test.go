package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/internal/report"
)

// kubernetesBackup was saved from under a real API server of Kubernetes 1.36.
const kubernetesBackup = "../recovery/testdata/kubernetes-1.36-etcd-3.6.16.db"

// ownWithin is how long the drill of a small backup may take where its etcd has to be built first.
const ownWithin = 5 * time.Minute

var _ = Describe("a backup of one's own", Label("cli", "etcd"), func() {
	var u user
	BeforeEach(func() { u = newUser() })

	It("of a real API server comes back on three members, and its objects are listed by resource", func(ctx SpecContext) {
		file := u.put("backup.db", must(os.ReadFile(kubernetesBackup)))
		before := digest(file)
		p := u.drill("--snapshot", file, "--rto", "60s")
		p.ends(ctx, 0, ownWithin)
		Expect(digest(file)).To(Equal(before), "the backup was written to")
		p.expectNothingLeft(ctx)
		Expect(string(p.Out.Contents())).To(And(
			ContainSubstring(" backup   saved snapshot, 624 KiB, hash good         revision 631, 547 keys, storage 3.6.0\n"),
			ContainSubstring(" objects  547 objects of Kubernetes: 206 configmaps, 80 secrets,"),
			ContainSubstring(" proof    3/3 members: 547 keys and 630 revisions as in the backup, HashKV equal\n"),
			ContainSubstring(" advice   bump the revision:"),
			MatchRegexp(`(?m)^ targets  rto 1m0s: .*, met$`),
			ContainSubstring(" INTACT   what was written after the backup is not known"),
		))
		told := p.report()
		Expect(told.Verdict.Outcome).To(Equal(drill.Intact))
		Expect(told.Runtime.EtcdVersion).To(HavePrefix("3.6."), "the release that wrote it")
		Expect(told.Backup.SHA256).To(Equal(before))
		Expect(told.Backup.Kubernetes.Resources).To(ContainElements(
			report.Resource{Name: "configmaps", Objects: 206}, report.Resource{Name: "apiservices.apiregistration.k8s.io", Objects: 21},
		))
		Expect(told.RTO.Complete).To(BeTrue())
		p.expectAttested(before, map[string][]string{
			"proved":  {"source", "members", "identity", "state", "canary"},
			"leftOut": {"outage", "prefix", "fence"}, "sampled": {}, "disproved": {},
		})
		expectNoCopies(p.out)

		again := u.call("verify", p.out)
		again.ends(ctx, 0, 20*time.Second)
		Expect(string(again.Err.Contents())).To(Equal("judged again: intact, as stored\n"))
	}, SpecTimeout(ownWithin))

	It("comes back bumped, over TLS, from standard input in gzip", func(ctx SpecContext) {
		u.stdin = bytes.NewReader(gzipped(must(os.ReadFile(kubernetesBackup))))
		p := u.drill("--snapshot", "-", "--members", "1", "--tls", "--bump-revision", "1000000000", "--mark-compacted")
		p.ends(ctx, 0, ownWithin)
		Expect(string(p.Out.Contents())).To(And(
			ContainSubstring("drill 1/1 backup from standard input, restored as 1 member on etcd 3.6, revision bumped by 1000000000, TLS\n"),
			ContainSubstring(" backup   saved snapshot in gzip,"),
			ContainSubstring(" bump     proved: begins at revision 1000000631, "),
			ContainSubstring(" 2 were told that their revision is compacted; 1 caches equal the store\n"),
			Not(ContainSubstring(" advice ")),
		))
		expectNoCopies(p.out)
	}, SpecTimeout(ownWithin))

	It("comes back as large as its cluster was", func(ctx SpecContext) {
		p := u.drill("--snapshot", absolute(kubernetesBackup), "--original-size")
		p.ends(ctx, 0, ownWithin)
		Expect(string(p.Out.Contents())).To(And(
			ContainSubstring("restored as many members as it had on etcd 3.6\n"),
			ContainSubstring(" proof    1/1 members: 547 keys"),
		))
		Expect(p.report().Spec.Members).To(Equal(1), "it was saved from a single member")

		both := u.call("run", "--snapshot", absolute(kubernetesBackup), "--original-size", "--members", "1")
		both.ends(ctx, 64, 20*time.Second)
		Expect(string(both.Err.Contents())).To(ContainSubstring("--original-size and --members say two things"))
	}, SpecTimeout(ownWithin))

	It("may be read from one member, and is hashed on all; and comes back on another version, if that is asked for", func(ctx SpecContext) {
		p := u.drill("--snapshot", absolute(kubernetesBackup), "--read", "one", "--restore-version", "3.7")
		p.ends(ctx, 0, ownWithin)
		Expect(p.report().Runtime.EtcdVersion).To(HavePrefix("3.7."))
		Expect(string(p.Out.Contents())).To(ContainSubstring(" proof    3/3 members: HashKV equal; 547 keys of 1 member read"))
		Expect(p.report().Verdict.Compared).To(And(HaveField("Members", 1), HaveField("Hashed", 2)))
		Expect(filepath.Join(p.out, "members", "m1", "keyspace.jsonl")).To(BeAnExistingFile())
		Expect(filepath.Join(p.out, "members", "m2", "keyspace.jsonl")).NotTo(BeAnExistingFile())
		again := u.call("verify", p.out)
		again.ends(ctx, 0, 20*time.Second)
	}, SpecTimeout(ownWithin))

	It("is spoken of by digests that can be compared only under one key", func(ctx SpecContext) {
		keyspace := func(args ...string) string {
			p := u.drill(append([]string{"--snapshot", absolute(kubernetesBackup), "--members", "1"}, args...)...)
			p.ends(ctx, 0, ownWithin)
			return string(must(os.ReadFile(filepath.Join(p.out, "source", "keyspace.jsonl"))))
		}
		key := u.put("key", []byte("sixteen bytes ok"))
		first := keyspace("--digest-key", key)
		Expect(keyspace("--digest-key", key)).To(Equal(first))
		Expect(keyspace()).NotTo(Equal(first))
	}, SpecTimeout(ownWithin))

	It("is copied to the drill folder for nobody else, and stays there if it is to be kept", func(ctx SpecContext) {
		u.stdin = bytes.NewReader(must(os.ReadFile(kubernetesBackup)))
		p := u.drill("--snapshot", "-", "--members", "1", "--keep", "all")
		p.ends(ctx, 0, ownWithin)
		kept := filepath.Join(p.out, "work", "given", "backup.db")
		Expect(digest(kept)).To(Equal(digest(kubernetesBackup)))
		Expect(must(os.Stat(kept)).Mode().Perm()).To(Equal(os.FileMode(0o600)))
	}, SpecTimeout(ownWithin))

	It("is not mixed with a drill that makes its own disaster", func(ctx SpecContext) {
		for _, args := range [][]string{
			{"--snapshot", kubernetesBackup, "--lose", "2"}, {"--snapshot", kubernetesBackup, "--keys", "5"}, {"--snapshot", ""},
			{"--snapshot", kubernetesBackup, "--members", "0"}, {"--snapshot", kubernetesBackup, "--max-unpacked", "lots"},
			{"--snapshot", kubernetesBackup, "--redact", "values"}, {"--redact", "keys"},
			{"--snapshot", kubernetesBackup, "--read", "some"}, {"--read", "one"},
			{"--snapshot", kubernetesBackup, "--digest-key", u.put("short", []byte("short"))},
			{"--max-unpacked", "1G"}, {"--snapshot", kubernetesBackup, "--etcd-version", "3.6", "--restore-version", "3.7"},
		} {
			p := u.drill(args...)
			p.ends(ctx, 64, 10*time.Second)
			Expect(p.Out.Contents()).To(BeEmpty())
			Expect(p.out).NotTo(BeADirectory())
		}
	}, SpecTimeout(time.Minute))
})

// expectAttested demands that the evidence says which backup was drilled, and how each part of the proof is known.
func (p *program) expectAttested(sha256 string, checks map[string][]string) {
	GinkgoHelper()
	attested := document(must(os.ReadFile(filepath.Join(p.out, "evidence.json"))))["attestation"].(map[string]any)
	Expect(attested).To(And(HaveKeyWithValue("verdict", "intact"), HaveKeyWithValue("result", "passed")))
	Expect(attested["drilled"]).To(And(
		HaveKeyWithValue("sha256", sha256), HaveKeyWithValue("sizeBytes", BeNumerically("==", 639_008)), HaveKeyWithValue("kind", "snapshot"),
		HaveKeyWithValue("restorePoint", BeNumerically("==", 631)), HaveKeyWithValue("ageNanoseconds", BeNumerically(">", 0)),
		HaveKey("takenAt"),
	))
	for state, names := range checks {
		var found []string
		for _, check := range attested["checks"].(map[string]any)[state].([]any) {
			found = append(found, check.(map[string]any)["name"].(string))
		}
		Expect(found).To(ConsistOf(names), state)
	}
}

// put makes a file of the user's that nobody may write to.
func (u user) put(name string, data []byte) string {
	GinkgoHelper()
	path := filepath.Join(u.home, name)
	Expect(os.WriteFile(path, data, 0o600)).To(Succeed())
	return path
}

func appendTo(path string, data []byte) {
	defer GinkgoRecover()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	Expect(err).NotTo(HaveOccurred())
	_, err = file.Write(data)
	Expect(err).NotTo(HaveOccurred())
	Expect(file.Close()).To(Succeed())
}

func gzipped(data []byte) []byte {
	GinkgoHelper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	must(w.Write(data))
	Expect(w.Close()).To(Succeed())
	return out.Bytes()
}

func digest(path string) string {
	GinkgoHelper()
	return fmt.Sprintf("%x", sha256.Sum256(must(os.ReadFile(path))))
}

// report is the one that the drill left.
func (p *program) report() report.Report {
	GinkgoHelper()
	var told report.Report
	Expect(json.Unmarshal(must(os.ReadFile(filepath.Join(p.out, "report.json"))), &told)).To(Succeed())
	return told
}

// expectNoCopies demands that no database is left in the folder, under whatever name, and that everything in it is its owner's.
func expectNoCopies(folder string) {
	GinkgoHelper()
	everyFile(folder, func(path string, info os.FileInfo) {
		if !info.Mode().IsRegular() {
			Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o700)), path)
			return
		}
		Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)), path)
		Expect(utf8.Valid(must(os.ReadFile(path)))).To(BeTrue(), "%s is no evidence, which is text", path)
	})
}
