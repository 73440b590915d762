package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
)

// kubernetesSecret is part of many values of the backup that was saved from under an API server.
const kubernetesSecret = "rbac.authorization.kubernetes.io/autoupdate"

// refusedWithin is how long a backup may take to be refused. No etcd is built for it.
const refusedWithin = time.Minute

var _ = Describe("what is no backup", Label("cli", "etcd"), func() {
	var u user
	BeforeEach(func() { u = newUser() })

	DescribeTable("is refused in one line and leaves nothing", func(ctx SpecContext, code int, says string, spoil spoiling) {
		good := must(os.ReadFile(kubernetesBackup))
		Expect(string(good)).To(ContainSubstring(kubernetesSecret))
		file := u.put("backup", spoil(good))
		before := digest(file)
		p := u.drill("--snapshot", file, "--max-unpacked", "1M")
		p.endsRefused(ctx, code, says)
		Expect(digest(file)).To(Equal(before), "it was written to")
	},
		refused("one bit of the hash flipped", 1, "integrity hash does not match", func(good []byte) []byte {
			good[len(good)-1] ^= 1
			return good
		}),
		refused("one bit of a value flipped", 1, "integrity hash does not match", func(good []byte) []byte {
			good[bytes.Index(good, []byte("kube-system"))] ^= 1
			return good
		}),
		refused("half of it", 1, "source is truncated", func(good []byte) []byte { return good[:len(good)/1024*512] }),
		refused("empty", 1, "source is empty", func([]byte) []byte { return nil }),
		refused("text", 1, "not a bbolt database", func([]byte) []byte { return bytes.Repeat([]byte("text"), 1000) }),
		refused("noise", 1, "integrity hash does not match", func(good []byte) []byte {
			_, err := rand.Read(good)
			Expect(err).NotTo(HaveOccurred())
			return good
		}),
		refused("of a storage version that nobody knows yet", 2, "storage version is newer than this program knows", newerStorage),
		refused("a cut archive", 1, "archive is damaged: it ends before the archive does", func(good []byte) []byte {
			packed := gzipped(good)
			return packed[:len(packed)/2]
		}),
		refused("an archive whose sum is wrong", 1, "archive is damaged", func(good []byte) []byte {
			packed := gzipped(good)
			packed[len(packed)-8] ^= 1
			return packed
		}),
		refused("a bomb", 2, "backup is larger than allowed: it unpacks to more than 1048576 bytes; allow more with --max-unpacked",
			func([]byte) []byte { return gzipped(make([]byte, 8<<20)) }),
		refused("a bomb in a zip archive", 2, "backup is larger than allowed", func([]byte) []byte {
			return zipped(map[string][]byte{"backup.db": make([]byte, 8<<20)})
		}),
		refused("two in a tar archive", 2, `it holds "two.db" beside "one.db"`, func(good []byte) []byte {
			return tarred(inTar{"one.db", good}, inTar{"two.db", good[:100]})
		}),
		refused("two in a zip archive", 2, "archive does not hold exactly one backup", func(good []byte) []byte {
			return zipped(map[string][]byte{"one.db": good[:100], "two.db": good[:100]})
		}),
		refused("none in an archive", 2, "it holds no file", func([]byte) []byte { return zipped(nil) }),
		refused("a path that climbs out of a tar archive", 2, `the path "../../climbed.db" leads out of it`, func(good []byte) []byte {
			return gzipped(tarred(inTar{"../../climbed.db", good}))
		}),
		refused("a path that climbs out of a zip archive", 2, `the path "../../climbed.db" leads out of it`, func(good []byte) []byte {
			return zipped(map[string][]byte{"../../climbed.db": good})
		}),
		refused("packed twice", 2, "it is packed twice", func(good []byte) []byte { return gzipped(gzipped(good)) }),
	)

	DescribeTable("and comes by standard input proves nothing against itself", func(ctx SpecContext, says string, spoil spoiling) {
		u.stdin = bytes.NewReader(spoil(must(os.ReadFile(kubernetesBackup))))
		u.drill("--snapshot", "-").endsRefused(ctx, 2, "standard input: input ended early: "+says)
	},
		ended("nothing", "nothing came", func([]byte) []byte { return nil }),
		ended("an error of whoever writes", "neither meta page is valid", func([]byte) []byte { return []byte("404: Not Found\n") }),
		ended("a part", "its pages reach to byte", func(good []byte) []byte { return good[:100_000] }),
		ended("a part of an archive", "the archive in it goes on", func(good []byte) []byte { return gzipped(good)[:50_000] }),
		ended("a part of a zip archive", "the archive in it goes on", func(good []byte) []byte {
			return zipped(map[string][]byte{"backup.db": good})[:50_000]
		}),
	)

	It("is refused if it is a directory of another kind, or is not there", func(ctx SpecContext) {
		good := must(os.ReadFile(kubernetesBackup))
		for _, c := range []struct{ dir, file, says string }{
			{dir: "nothing", says: "no such file or directory"},
			{dir: "other", file: "notes.txt", says: "it holds neither a database nor a write-ahead log of etcd"},
			{dir: "failed-restore.etcd", file: "member/snap/db", says: "directory is no source"},
		} {
			dir := filepath.Join(u.home, c.dir)
			if c.file != "" {
				Expect(os.MkdirAll(filepath.Dir(filepath.Join(dir, c.file)), 0o700)).To(Succeed())
				u.put(filepath.Join(c.dir, c.file), good)
			}
			u.drill("--snapshot", dir).endsRefused(ctx, 2, c.says)
		}
	}, SpecTimeout(refusedWithin))

	It("is refused while a member runs on it, which does not notice", func(ctx SpecContext) {
		cluster := live(ctx, drill.Spec{Members: 1})
		cluster.put(ctx, map[string]string{"/a": "1"})
		database := ""
		everyFile(cluster.drill.Folder(), func(path string, _ fs.FileInfo) {
			if strings.HasSuffix(path, "/member/snap/db") {
				database = path
			}
		})
		Expect(database).NotTo(BeEmpty())
		for _, path := range []string{database, filepath.Dir(filepath.Dir(filepath.Dir(database)))} {
			u.drill("--snapshot", path).endsRefused(ctx, 2, "source is being written to")
		}
		cluster.put(ctx, map[string]string{"/a": "2"})
	}, SpecTimeout(refusedWithin))

	It("is refused while it is still being written", func(ctx SpecContext) {
		good := must(os.ReadFile(kubernetesBackup))
		file := u.put("growing.db", good[:len(good)/2])
		enough, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for {
				select {
				case <-enough:
					return
				default:
					appendTo(file, make([]byte, 16))
				}
			}
		}()
		p := u.drill("--snapshot", file)
		p.ends(ctx, 2, refusedWithin)
		close(enough)
		Eventually(ctx, ended).WithTimeout(10 * time.Second).Should(BeClosed())
		p.endsRefused(ctx, 2, "source is being written to")
	}, SpecTimeout(refusedWithin))
})

// spoiling makes a wrong file of a good backup.
type spoiling func(good []byte) []byte

// A pipe whose other end is open, and into which nobody writes.
var _ = Describe("a backup that does not come", Label("cli", "crash", "etcd"), func() {
	var u user
	var fifo string
	BeforeEach(func() {
		u = newUser()
		fifo = filepath.Join(u.home, "fifo")
		Expect(syscall.Mkfifo(fifo, 0o600)).To(Succeed())
		reads, writes, err := os.Pipe()
		DeferCleanup(reads.Close)
		DeferCleanup(writes.Close)
		Expect(err).NotTo(HaveOccurred())
		must(writes.Write(must(os.ReadFile(kubernetesBackup))[:10_000]))
		u.stdin = reads
	})

	It("is waited for until somebody interrupts, or the time is over", func(ctx SpecContext) {
		for _, source := range []string{"-", fifo} {
			p := u.drill("--snapshot", source)
			p.reaches(ctx, drill.EventSaving)
			p.Interrupt()
			p.ends(ctx, 130, 10*time.Second)
			p.expectNothingLeft(ctx)
			expectNoCopies(p.out)

			u.drill("--snapshot", source, "--timeout", "1s").endsRefused(ctx, 2, "the drill took longer than --timeout 1s")
		}
	}, SpecTimeout(refusedWithin))

	It("has no manifest, and leaves nothing of what was read of it", func(ctx SpecContext) {
		temp := newFolder("temp")
		Expect(os.Mkdir(temp, 0o700)).To(Succeed())
		u.env = append(u.env, "TMPDIR="+temp)
		p := u.call("manifest", "-")
		Eventually(ctx, func() []string { return must(filepath.Glob(filepath.Join(temp, "*", "given", "backup.db"))) }).
			WithTimeout(10 * time.Second).ShouldNot(BeEmpty())
		p.Interrupt()
		p.ends(ctx, 130, 10*time.Second)
		Expect(os.ReadDir(temp)).To(BeEmpty())
	}, SpecTimeout(refusedWithin))
})

// refused is an entry: a backup that is spoiled, the exit code, and a part of the one line that says why.
func refused(name string, code int, says string, spoil spoiling) TableEntry {
	return Entry(name, code, says, spoil, SpecTimeout(refusedWithin))
}

// ended is an entry: what comes through a pipe, and a part of the one line that says why it is not enough.
func ended(name, says string, spoil spoiling) TableEntry {
	return Entry(name, says, spoil, SpecTimeout(refusedWithin))
}

// endsRefused demands the exit code, one line with the reason, and nothing else: no member, no copy, no secret, and evidence that
// says the same.
func (p *program) endsRefused(ctx context.Context, code int, says string) {
	GinkgoHelper()
	p.ends(ctx, code, refusedWithin)
	said := string(p.Out.Contents())
	reasons := 0
	for line := range strings.Lines(said) {
		if strings.Contains(line, says) {
			reasons++
		}
	}
	Expect(reasons).To(Equal(1), "%q in %s", says, said)
	Expect(strings.Count(said, "\n")).To(BeNumerically("<=", 6), said)
	Expect(said).To(ContainSubstring("nothing left behind"))
	Expect(string(p.Err.Contents())).NotTo(ContainSubstring("goroutine "))

	p.expectNothingLeft(ctx)
	expectNoCopies(p.out)
	Expect(filepath.Join(p.out, "members")).NotTo(BeADirectory(), "something was started")
	Expect(filepath.Glob(filepath.Join(filepath.Dir(p.out), "*climbed*"))).To(BeEmpty())
	expectSecret(p, kubernetesSecret)

	attested := document(must(os.ReadFile(filepath.Join(p.out, "evidence.json"))))["attestation"]
	verdict, result := "inconclusive", "unproved"
	if code == 1 {
		verdict, result = "damaged", "failed"
		Expect(attested).To(HaveKeyWithValue("checks", HaveKeyWithValue("disproved", HaveLen(1))))
	}
	Expect(attested).To(And(HaveKeyWithValue("verdict", verdict), HaveKeyWithValue("result", result)))
	again := p.user.call("verify", p.out)
	again.ends(ctx, 2, 10*time.Second)
	Expect(string(again.Err.Contents())).To(ContainSubstring("ended before any member was compared"))
}

// newerStorage makes a snapshot say that an etcd of the future wrote it, and gives it the hash of what it then is.
func newerStorage(good []byte) []byte {
	GinkgoHelper()
	image := good[:len(good)-sha256.Size]
	Expect(bytes.Count(image, []byte("storageVersion3.6.0"))).To(BeNumerically(">", 0))
	image = bytes.ReplaceAll(image, []byte("storageVersion3.6.0"), []byte("storageVersion9.9.0"))
	sum := sha256.Sum256(image)
	return append(image, sum[:]...)
}

type inTar struct {
	name string
	data []byte
}

func tarred(files ...inTar) []byte {
	GinkgoHelper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		Expect(w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.data)), Typeflag: tar.TypeReg})).To(Succeed())
		must(w.Write(f.data))
	}
	Expect(w.Close()).To(Succeed())
	return out.Bytes()
}

func zipped(files map[string][]byte) []byte {
	GinkgoHelper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, data := range files {
		must(must(w.Create(name)).Write(data))
	}
	Expect(w.Close()).To(Succeed())
	return out.Bytes()
}
