package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/harness/release"
)

// imageWithin is how long it may take to build the program without cgo, and an image of it.
const imageWithin = 8 * time.Minute

var _ = Describe("the image of the program", Label("cli", "etcd"), func() {
	It("holds nothing else, and drills a backup as a user that is not root", func(ctx SpecContext) {
		onEngine()
		socketGroup() // skips where the engine is elsewhere, and sees no folder of this machine
		if _, err := exec.LookPath("docker"); err != nil {
			Skip("make image needs the docker command")
		}
		image := "etcd-drill-e2e:" + harness.NewRunID()
		DeferCleanup(func(ctx SpecContext) {
			command(ctx, "docker", "image", "rm", "--force", image)
		}, NodeTimeout(time.Minute))
		command(ctx, "make", "-C", "..", "image", "IMAGE="+image)

		Expect(command(ctx, "docker", "image", "inspect", "--format", "{{.Config.User}} {{len .RootFS.Layers}}", image)).To(
			Equal("65532:65532 2\n"), "its user, and one layer for the program and one for its folder")
		Expect(command(ctx, "docker", "run", "--rm", "--network", "none", image, "version")).To(HavePrefix("etcd-drill "))

		given := newFolder("given")
		Expect(os.Mkdir(given, 0o755)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(given, "backup.db"), must(os.ReadFile(kubernetesBackup)), 0o600)).To(Succeed())
		Expect(os.Chmod(filepath.Join(given, "backup.db"), 0o644)).To(Succeed())
		said := command(ctx, "docker", "run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/drill:uid=65532,gid=65532,exec",
			"-v", given+":/given:ro", "-v", etcdProgram(ctx)+":/given-etcd:ro", "-e", "TMPDIR=/drill", image,
			"run", "--runtime", "process", "--binary", "/given-etcd", "--snapshot", "/given/backup.db", "--out", "out/1")
		Expect(said).To(And(ContainSubstring("547 objects of Kubernetes"), ContainSubstring("\n1 of 1 intact in ")))
	}, SpecTimeout(imageWithin))
})

// etcdProgram is the path of an etcd that is statically linked.
func etcdProgram(ctx context.Context) string {
	GinkgoHelper()
	runtime := must(openRuntime(ctx, host.Process, newFolder("state")))
	DeferCleanup(runtime.Close)
	must(runtime.Prepare(ctx, release.Default))
	found := must(filepath.Glob(filepath.Join(cacheDir(), "etcd-"+release.Default+"-*", "etcd")))
	Expect(found).To(HaveLen(1))
	return found[0]
}

// command calls another program, which must succeed, and returns what it prints.
func command(ctx context.Context, name string, args ...string) string {
	GinkgoHelper()
	GinkgoWriter.Println(name, args)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = GinkgoWriter
	return string(must(cmd.Output()))
}
