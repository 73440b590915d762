package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/onsi/gomega/gexec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
)

var _ = Describe("another module", Label("etcd"), func() {
	It("compiles against the public packages and rehearses a drill", func(ctx SpecContext) {
		root := must(filepath.Abs(".."))
		dir := newFolder("consumer")
		Expect(os.CopyFS(dir, os.DirFS("consumer"))).To(Succeed())
		Expect(os.WriteFile(filepath.Join(dir, "go.sum"), must(os.ReadFile(filepath.Join(root, "go.sum"))), 0o600)).To(Succeed())

		// Whatever the caller's go env says, the copy stands alone, and what it needs is what the main module needed.
		goTool := func(args ...string) *gexec.Session {
			cmd := exec.CommandContext(ctx, "go", args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
			return must(gexec.Start(cmd, GinkgoWriter, GinkgoWriter))
		}
		Eventually(ctx, goTool("mod", "edit", "-replace=github.com/etcd-drill/etcd-drill="+root)).
			WithTimeout(10 * time.Second).Should(gexec.Exit(0))
		tested := goTool("test", "-count=1", "-v", "./...")
		Eventually(ctx, tested).WithTimeout(4 * time.Minute).Should(gexec.Exit(0))
		Expect(tested.Out).To(gbytes.Say("Ran 1 of 1 Specs"))
	}, SpecTimeout(5*time.Minute))
})
