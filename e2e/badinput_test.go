package e2e

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/harness/identity"
)

var _ = Describe("what cannot work", Label("etcd"), func() {
	It("is not begun on a disk that is too small", Label("cli"), func(ctx SpecContext) {
		if os.Getuid() != 0 {
			Skip("only root can mount a small file system; the figures themselves are tested in package drill")
		}
		small := newFolder("small")
		Expect(os.Mkdir(small, 0o700)).To(Succeed())
		Expect(unix.Mount("tmpfs", small, "tmpfs", 0, "size=64m,mode=700")).To(Succeed())
		DeferCleanup(func() { Expect(unix.Unmount(small, 0)).To(Succeed()) })

		u := newUser()
		p := u.call("run", "--out", filepath.Join(small, "out"), "-w", "json")
		p.out = filepath.Join(small, "out")
		p.ends(ctx, 2, 10*time.Second)
		doc := document(p.Out.Contents())
		Expect(doc["drills"]).To(ConsistOf(HaveKeyWithValue("failure", MatchRegexp(
			`too little free space: .*/small/out/1 has 6\d MiB free, .* needs up to 8\d\d MiB; free some, name a folder .* with --out`))))
		Expect(p.runs()).To(BeEmpty())
		Expect(must(os.ReadDir(p.out))).To(HaveLen(1), "the second drill would meet the same end")
		Expect(u.state).NotTo(BeAnExistingFile())
	}, SpecTimeout(30*time.Second))

	DescribeTable("shows what a member that cannot start said last, and leaves nothing",
		func(ctx SpecContext, size int) {
			run := must(harness.NewRun(harness.RunConfig{StateDir: newFolder("state"), WorkDir: newFolder("work")}))
			DeferCleanup(func() { Expect(run.Close(false)).To(Succeed()) })
			site := must(suite.runtime.Open(ctx, run))
			DeferCleanup(site.Close, false)
			layout := must(harness.NewLayout(site, size, identity.FreshToken()))
			cluster := must(harness.Prepare(ctx, site, harness.Birth{Layout: layout, Args: []string{"--election-timeout=50"}}))

			began := time.Now()
			err := cluster.Start(ctx) // the process of a single member starts, and ends by itself
			if size == 1 {
				Expect(err).NotTo(HaveOccurred())
				err = cluster.AwaitReady(ctx, time.Minute)
			}
			Expect(err).To(MatchError(And(
				ContainSubstring("m1 ended with code 1"),
				ContainSubstring("--election-timeout[50ms] should be at least as 5 times"))))
			Expect(time.Since(began)).To(BeNumerically("<", 20*time.Second), "it should not wait for what has ended")

			if suite.runtime.Name() == string(host.Docker) { // a process that has ended is nowhere
				Expect(suite.runtime.Left(ctx, run.ID())).NotTo(BeEmpty())
			}
			Expect(site.Close(ctx, false)).To(Succeed())
			Expect(suite.runtime.Left(ctx, run.ID())).To(BeEmpty())
		},
		Entry("alone", SpecTimeout(time.Minute), 1),
		Entry("ahead of two others", SpecTimeout(time.Minute), 3),
	)
})
