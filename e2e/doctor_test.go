package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/internal/doctor"
)

var _ = Describe("doctor", Label("cli"), func() {
	It("finds that a drill can run, on what the suite runs, and leaves nothing", func(ctx SpecContext) {
		u := newUser()
		found := u.examined(ctx, 0)
		Expect(found.CanRun).To(BeTrue())
		Expect(found.Runtime).To(Equal(suite.runtime.Name()))
		Expect(found.Findings).To(ContainElement(And(HaveField("What", "container engine"),
			HaveField("State", map[bool]doctor.State{true: doctor.Yes, false: doctor.No}[suite.runtime.Why == "" || u.choice == host.Docker]))))
		for _, f := range found.Findings {
			Expect([]string{f.What, f.Seen, f.Means}).To(HaveEach(Not(BeEmpty())))
			Expect(f.Fatal).To(BeFalse(), f.What)
		}
		for _, left := range must(os.ReadDir(u.home)) {
			Expect(left.Name()).To(Equal(filepath.Base(u.state)), "it may have made the state folder, which holds no record")
		}
		Expect(filepath.Glob(filepath.Join(u.state, "*.jsonl"))).To(BeEmpty())
	}, SpecTimeout(time.Minute))

	It("finds processes where no engine answers, and says what to do about it", func(ctx SpecContext) {
		u := newUser()
		u.choice, u.env = host.Auto, []string{"DOCKER_HOST=unix:///nobody.sock"}
		found := u.examined(ctx, 0)
		Expect(found.Runtime).To(Equal("process"))
		Expect(found.Findings).To(ContainElement(And(
			HaveField("What", "container engine"), HaveField("State", doctor.No), HaveField("Fatal", false),
			HaveField("Seen", "no container engine answers at unix:///nobody.sock"), HaveField("Do", ContainSubstring("start the engine")))))

		u.choice = host.Docker
		found = u.examined(ctx, 2)
		Expect(found.CanRun).To(BeFalse())
		Expect(found.Findings).To(ContainElement(And(HaveField("What", "container engine"), HaveField("Fatal", true))))
	}, SpecTimeout(time.Minute))

	It("finds that there is neither an etcd nor a way to build one", func(ctx SpecContext) {
		u := onProcesses()
		u.env = []string{"PATH=/nowhere", "ETCD_DRILL_CACHE_DIR=" + filepath.Join(u.home, "cache")}
		found := u.examined(ctx, 2)
		Expect(found.Findings).To(ContainElements(
			And(HaveField("What", "Go toolchain"), HaveField("State", doctor.No), HaveField("Do", ContainSubstring("install Go 1.26"))),
			And(HaveField("What", HavePrefix("etcd ")), HaveField("State", doctor.No), HaveField("Fatal", true))))
	}, SpecTimeout(time.Minute))

	It("names the runs that were not cleaned up after", func(ctx SpecContext) {
		u := newUser()
		Expect(os.Mkdir(u.state, 0o700)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(u.state, "0badcafe.jsonl"), []byte(`{"run":"0badcafe"}`+"\n"), 0o600)).To(Succeed())
		found := u.examined(ctx, 0)
		Expect(found.Findings).To(ContainElement(And(HaveField("What", "no leftovers"), HaveField("State", doctor.No),
			HaveField("Seen", ContainSubstring("0badcafe")), HaveField("Do", "etcd-drill clean"))))
		Expect(filepath.Join(u.state, "0badcafe.jsonl")).To(BeARegularFile(), "it is not doctor's to remove")
	}, SpecTimeout(time.Minute))

	It("finds a disk that is too small", func(ctx SpecContext) {
		if os.Getuid() != 0 {
			Skip("only root can mount a small file system; the figures themselves are tested in package drill")
		}
		u := onProcesses()
		small := newFolder("small")
		Expect(os.Mkdir(small, 0o700)).To(Succeed())
		Expect(unix.Mount("tmpfs", small, "tmpfs", 0, "size=64m,mode=700")).To(Succeed())
		DeferCleanup(func() { Expect(unix.Unmount(small, 0)).To(Succeed()) })
		u.home = small
		found := u.examined(ctx, 2)
		Expect(found.Findings).To(ContainElement(And(HaveField("What", "free disk"), HaveField("Fatal", true),
			HaveField("Seen", MatchRegexp(`^6\d MiB in .*; a default drill takes up to 8\d\d MiB$`)))))
	}, SpecTimeout(time.Minute))

	It("tells a user without privileges what only root may", func(ctx SpecContext) {
		if os.Getuid() != 0 {
			Skip("the suite itself runs unprivileged, so every other spec shows this")
		}
		u := newNobody(ctx)
		u.choice = host.Process
		Expect(u.as).To(Equal(&syscall.Credential{Uid: nobody, Gid: nobody}))
		found := u.examined(ctx, 0)
		Expect(found.Findings).To(ContainElement(And(HaveField("What", "nftables"), HaveField("State", doctor.No),
			HaveField("Seen", ContainSubstring("root")))))
	}, SpecTimeout(time.Minute))
})

// examined calls doctor, which must end with this code, and returns what it found.
func (u user) examined(ctx SpecContext, code int) doctor.Diagnosis {
	GinkgoHelper()
	p := u.call("doctor", "-w", "json")
	p.ends(ctx, code, 40*time.Second)
	var found doctor.Diagnosis
	Expect(json.Unmarshal(p.Out.Contents(), &found)).To(Succeed())
	Expect(p.processes()).To(BeEmpty())
	return found
}
