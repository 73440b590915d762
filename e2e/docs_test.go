package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
)

// examples are the blocks of commands in the documentation, by their file and first line.
func examples() map[string]string {
	block := regexp.MustCompile("(?ms)^```(?:sh|bash|shell|console)\n(.*?)^```$")
	found := map[string]string{}
	pages, err := filepath.Glob("../docs/*.md")
	for _, page := range append(pages, "../README.md") {
		text, failure := os.ReadFile(page)
		if err != nil || failure != nil {
			panic(fmt.Sprint(err, failure)) // the tree of specs cannot be made
		}
		for _, match := range block.FindAllStringSubmatch(string(text), -1) {
			first, _, _ := strings.Cut(match[1], "\n")
			name := filepath.Base(page) + ": " + first
			if found[name] != "" {
				panic("two blocks of the documentation begin alike: " + name)
			}
			found[name] = match[1]
		}
	}
	return found
}

// notRun are the blocks that no spec runs, by the beginning of their first line, and why.
func notRun() map[string]string {
	return map[string]string{
		"README.md: make drill ":                         "make test runs this suite",
		"ci.md: go run github.com/onsi/ginkgo/v2/ginkgo": "make scenarios runs that suite",
		"bench.md: etcd-drill bench --sizes 16MiB":       "it takes long; other specs call bench and its gate with small sizes",
	}
}

// A user of the examples has a backup, and stand-ins for programs that need an account or a cluster.
var _ = Describe("the examples of the documentation", Label("cli", "etcd"), func() {
	var u user
	BeforeEach(func() {
		u = newUser()
		u.put("backup.db", must(os.ReadFile(kubernetesBackup)))
		u.standIns()
	})
	written, seen := examples(), map[string]bool{}
	// works adds a spec that types the example of this name, changed where it names what only its reader has.
	works := func(name string, drills int, change func(ctx context.Context, text string) string) {
		seen[name] = true
		It("work: "+name, func(ctx SpecContext) {
			Expect(written).To(HaveKey(name))
			u.types(ctx, change(ctx, written[name]), drills)
		}, SpecTimeout(ownWithin))
	}
	asWritten := func(_ context.Context, text string) string { return text }

	works("own-backup.md: etcd-drill run --snapshot backup.db --rto 60s", 1, asWritten)
	works("own-backup.md: set -o pipefail", 7, asWritten)
	works("own-backup.md: etcdctl snapshot save backup.db && etcd-drill manifest backup.db > backup.db.manifest.json", 1, asWritten)
	works("own-backup.md: etcd-drill run --snapshot backup.db --bump-revision 1000000000 --mark-compacted", 1, asWritten)
	works(`own-backup.md: etcd-drill run --endpoints https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:2379 \`, 1,
		func(ctx context.Context, text string) string {
			cluster := live(ctx, drill.Spec{Members: 3, Auth: true})
			cluster.put(ctx, map[string]string{"/a": "1"})
			cluster.certificate(u, "root")
			theirs := []string{
				"/etc/kubernetes/pki/etcd/ca.crt", "ca.pem", "/etc/kubernetes/pki/etcd/healthcheck-client.crt", "root.pem",
				"/etc/kubernetes/pki/etcd/healthcheck-client.key", "root-key.pem",
			}
			for i, endpoint := range cluster.endpoints(ctx) {
				theirs = append(theirs, fmt.Sprintf("https://10.0.0.%d:2379", i+1), endpoint)
			}
			return strings.NewReplacer(theirs...).Replace(text)
		})
	works(`own-backup.md: * * * * *  etcdctl put /canary "$(date -u +%FT%TZ)"     # on any machine that may write`, 1,
		func(ctx context.Context, text string) string {
			scheduled, drilled, _ := strings.Cut(text, "\n")
			u.types(ctx, strings.TrimPrefix(scheduled, "* * * * *  "), 0)
			cluster := live(ctx, drill.Spec{Members: 1})
			cluster.put(ctx, map[string]string{"/canary": string(must(os.ReadFile(filepath.Join(u.home, "put-canary"))))})
			u.put("latest.db", must(os.ReadFile(cluster.snapshot(ctx))))
			return drilled
		})

	It("are all of them run, or named as such that are not", func() {
		for name := range written {
			for known := range notRun() {
				if strings.HasPrefix(name, known) {
					seen[name] = true
				}
			}
		}
		Expect(slices.Sorted(maps.Keys(written))).To(Equal(slices.Sorted(maps.Keys(seen))))
	})
})

// types has a shell read the text, in the user's folder. So many drills must be intact, and nothing may be left of them.
func (u user) types(ctx context.Context, text string, drills int) {
	GinkgoHelper()
	u.env = append(u.env, "PATH="+filepath.Join(u.home, "bin")+":"+os.Getenv("PATH"))
	u.program = "bash"
	p := u.call("--noprofile", "--norc", "-e", "-c", text)
	p.out = filepath.Join(u.home, ".drill")
	p.ends(ctx, 0, ownWithin)
	Expect(bytes.Count(p.Out.Contents(), []byte("\n1 of 1 intact in "))).To(Equal(drills))
	if drills > 0 {
		p.expectNothingLeft(ctx)
		expectNoCopies(p.out)
	}
}

// standIns makes programs of the names that are in the examples. etcd-drill is the one under test; the clients of object stores print
// the backup in the form that the name of the object says; etcdctl saves it, or writes down what it is to put.
func (u user) standIns() {
	GinkgoHelper()
	backup := must(os.ReadFile(kubernetesBackup))
	encoder := must(zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)))
	u.put("stored.db", backup)
	u.put("stored.db.gz", gzipped(backup))
	u.put("stored.db.zst", encoder.EncodeAll(backup, nil))
	bin := filepath.Join(u.home, "bin")
	Expect(os.Mkdir(bin, 0o700)).To(Succeed())
	script := func(name, text string) {
		Expect(os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\nset -eu\n"+text), 0o700)).To(Succeed())
	}
	stored := filepath.Join(u.home, "stored.db")
	for _, client := range []string{"aws", "gcloud", "az", "mc", "rclone", "restic", "ssh"} {
		script(client, "case \"$*\" in *.gz*) tail=.gz;; *.zst*) tail=.zst;; *) tail=;; esac\ncat \""+stored+"$tail\"\n")
	}
	script("etcdctl", "case \"$1 $2\" in\n\"snapshot save\") cp \""+stored+"\" \"$3\";;\n"+
		"\"put /canary\") printf %s \"$3\" >put-canary;;\n*) exit 9;;\nesac\n")
	Expect(os.Symlink(u.program, filepath.Join(bin, "etcd-drill"))).To(Succeed())
}
