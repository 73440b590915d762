package e2e

import (
	"context"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/harness/release"
)

// nobody is a user without any rights, whom no system gives files.
const nobody = 65534

var _ = Describe("a user without privileges", Label("etcd"), func() {
	It("rehearses a drill whose files are all theirs", func(ctx SpecContext) {
		if os.Getuid() != 0 {
			Skip("the suite itself runs unprivileged, so every other spec shows this")
		}
		var groups []uint32
		if suite.runtime.Name() == string(host.Docker) {
			groups = append(groups, socketGroup())
		}
		u := newNobody(ctx, groups...)
		// A stop, because a killed member's database may not have seen one of so few writes.
		p := u.drill("--members", "3", "--keys", "300", "--fault", "stop", "--keep", "all")
		p.ends(ctx, 0, time.Minute)
		Expect(string(p.Out.Contents())).To(ContainSubstring("1 of 1 intact"))
		p.expectNothingLeft(ctx)

		data := 0
		valueHead := regexp.MustCompile(`w\d\d s\d{6} `)
		everyFile(p.out, func(path string, info fs.FileInfo) {
			owner := info.Sys().(*syscall.Stat_t)
			Expect([]uint32{owner.Uid, owner.Gid}).To(Equal([]uint32{nobody, nobody}), path)
			if strings.HasSuffix(path, "/member/snap/db") && valueHead.Match(must(os.ReadFile(path))) {
				data++
			}
		})
		Expect(data).To(Equal(6), "databases with values, three of the old and three of the new members")
	}, SpecTimeout(90*time.Second))

	It("is told what to do if the engine is not theirs to use", func(ctx SpecContext) {
		onEngine()
		var u user
		if os.Getuid() == 0 {
			u = newNobody(ctx)
		} else {
			u = newUser()
			socket := filepath.Join(filepath.Dir(newFolder("socket")), "engine.sock")
			listener := must(net.Listen("unix", socket))
			DeferCleanup(listener.Close)
			Expect(os.Chmod(socket, 0)).To(Succeed())
			u.env = append(u.env, "DOCKER_HOST=unix://"+socket)
		}
		p := u.call("run", "--runtime", "docker")
		p.ends(ctx, 2, 10*time.Second)
		Expect(string(p.Err.Contents())).To(And(
			ContainSubstring("this user may not use the container engine"), ContainSubstring("permission denied"),
			ContainSubstring("join the group docker and log in again, use sudo, or set DOCKER_HOST to an engine of your own")))
		Expect(p.Out.Contents()).To(BeEmpty())
		Expect(u.state).NotTo(BeAnExistingFile())
	}, SpecTimeout(30*time.Second))
})

// newNobody has a home of their own, and belongs to these groups besides.
func newNobody(ctx context.Context, groups ...uint32) user {
	GinkgoHelper()
	home := must(os.MkdirTemp("", "etcd-drill-nobody-")) // the suite's own folder lets nobody in
	DeferCleanup(os.RemoveAll, home)
	Expect(os.Chown(home, nobody, nobody)).To(Succeed())
	program := must(os.ReadFile(suite.program))
	Expect(os.WriteFile(filepath.Join(home, "etcd-drill"), program, 0o755)).To(Succeed())
	etcd := filepath.Join(home, "etcd") // what the suite has built lies where nobody else may look
	Expect(os.WriteFile(etcd, must(os.ReadFile(must(release.Build(ctx, release.Request{CacheDir: cacheDir()})).Etcd)), 0o755)).To(Succeed())
	return user{
		home: home, choice: host.Choice(suite.runtime.Name()), state: filepath.Join(home, "state"), program: filepath.Join(home, "etcd-drill"),
		env: []string{"HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, "cache"), "TMPDIR=" + home, "ETCD_DRILL_BINARY=" + etcd},
		as:  &syscall.Credential{Uid: nobody, Gid: nobody, Groups: groups},
	}
}

// socketGroup is the group that may use the engine's socket.
func socketGroup() uint32 {
	GinkgoHelper()
	path := "/var/run/docker.sock"
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		named := must(url.Parse(host))
		if named.Scheme != "unix" {
			Skip("the engine is not at a socket of this machine, so everybody may use it")
		}
		path = named.Path
	}
	return must(os.Stat(path)).Sys().(*syscall.Stat_t).Gid
}
