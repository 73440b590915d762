package scenarios_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/gexec"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// etcdutl makes files that only their owner can read, and the owner is whoever ran it.
var _ = Describe("restored as root", Label("etcd", "C4", "disaster:restored-as-root", "size:1"), func() {
	It("does not start as another user, says that permission is denied, and starts once the files are given away",
		Label("issue:rke2#6466", "issue:etcd#14851", "via:chown"), func(ctx SpecContext) {
			asRoot()
			if suite.runtime.Name() != string(host.Process) {
				Skip("the engine's images decide as whom they run; on processes the user is ours to choose")
			}
			const server = 12345
			relic, site := remains(ctx), ground(ctx)
			plan := relic.planned(ctx, site, 1)
			home := openFolder()
			must(offline.Restore(ctx, suite.worker(), plan, home))

			etcd := etcdFor(ctx, home)
			seat, place := plan.Layout.Seats[0], must(site.Place(plan.Layout.Seats[0].Name))
			place.DataDir = filepath.Join(home, seat.Name)
			command := func() *gexec.Session {
				cmd := exec.Command(etcd, harness.Flags(plan.Layout, seat, place)...)
				cmd.Dir, cmd.SysProcAttr = home, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: server, Gid: server}}
				session := must(gexec.Start(cmd, GinkgoWriter, GinkgoWriter))
				DeferCleanup(func() { session.Kill().Wait(10 * time.Second) })
				return session
			}
			refused := command()
			Eventually(ctx, refused).WithTimeout(20 * time.Second).Should(gexec.Exit())
			Expect(refused.ExitCode()).NotTo(BeZero())
			Expect(refused.Err).To(gbytes.Say("permission denied"))

			Expect(giveAway(place.DataDir, server)).To(Succeed())
			command()
			client := must(harness.Dial(place.ClientURL, harness.Access{}))
			defer client.Close() //nolint:errcheck // every call has been answered by then
			Eventually(func(g Gomega) {
				response, err := client.Get(ctx, "any")
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(response.Header.Revision).To(Equal(relic.revision))
			}).WithContext(ctx).WithTimeout(30 * time.Second).Should(Succeed())
		}, SpecTimeout(2*time.Minute))
})

// openFolder makes a folder that every user may enter, so that what is refused later is not the way to it.
func openFolder() string {
	GinkgoHelper()
	dir := must(os.MkdirTemp("/var/tmp", "etcd-drill-scenario-"))
	DeferCleanup(os.RemoveAll, dir)
	Expect(os.Chmod(dir, 0o755)).To(Succeed())
	return dir
}

// etcdFor puts an etcd that everybody may run into the folder.
func etcdFor(ctx SpecContext, dir string) string {
	GinkgoHelper()
	built := must(release.Build(ctx, release.Request{CacheDir: suite.Cache}))
	path := filepath.Join(dir, "etcd")
	Expect(os.WriteFile(path, must(os.ReadFile(built.Etcd)), 0o755)).To(Succeed())
	return path
}

// giveAway is chown -R.
func giveAway(dir string, uid int) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, uid)
	})
}
