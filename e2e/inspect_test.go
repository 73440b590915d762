package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

var _ = Describe("inspect", Label("etcd", "cli"), Ordered, func() {
	var (
		s      *stage
		failed string // the directory that a restore has left which found a wrong hash
	)

	BeforeAll(func(ctx SpecContext) {
		spec := small(faults.All, recovery.SavedSnapshot, drill.Before)
		spec.Members = 1
		s = strike(ctx, spec, readyWithin)
		s.rebuild(ctx)
		failed = s.failRestore(ctx)
	}, NodeTimeout(drillWithin))

	It("says of what a failed restore has left that etcd would start on it and must not, and etcd does", func(ctx SpecContext) {
		p := newUser().call("inspect", failed)
		p.ends(ctx, 1, 10*time.Second)
		Expect(string(p.Out.Contents())).To(And(
			ContainSubstring("POISONED  failed-restore: there is no write-ahead log, and the database is exactly the image of a snapshot"),
			ContainSubstring("etcd would start on this directory and must not"), ContainSubstring("do: remove the directory and restore again")))

		By("starting a real member on it")
		layout := s.proof.Plan.Layout
		cluster := must(harness.Prepare(ctx, s.proof.Down.Cluster.Site(), harness.Birth{Layout: layout, Generation: 50}))
		member := cluster.Members()[0]
		Expect(member.Disk().Adopt(ctx, copyOf(failed))).To(Succeed()) // Prepare would refuse it
		Expect(member.Start(ctx)).To(Succeed())
		Expect(cluster.AwaitReady(ctx, 8*time.Second)).To(MatchError(context.DeadlineExceeded), "it became ready")
		Expect(member.Endpoint(ctx)).To(HaveField("Peer", Not(BeEmpty())), "it has ended, so it would have told its user")
		_, err := member.AskAsPeer(ctx, layout.ClusterID(), "")
		Expect(err).NotTo(HaveOccurred(), "it has not started")
		must(member.Kill(ctx))
	}, SpecTimeout(time.Minute))

	It("changes nothing of what it inspects, and shows no key and no value", func(ctx SpecContext) {
		u, place := newUser(), newFolder("remains")
		if os.Getuid() == 0 {
			u = newNobody(ctx)
			place = filepath.Join(u.home, "remains")
		}
		Expect(os.Mkdir(place, 0o755)).To(Succeed())
		good := must(offline.Restore(ctx, worker(), s.proof.Plan, s.newScratch("inspected"))).Members[0].Dir
		Expect(os.CopyFS(filepath.Join(place, "good"), os.DirFS(good))).To(Succeed())
		Expect(os.CopyFS(filepath.Join(place, "failed"), os.DirFS(failed))).To(Succeed())
		snapshot := filepath.Join(place, "snapshot.db")
		Expect(os.WriteFile(snapshot, must(os.ReadFile(s.proof.Source.Path)), 0o400)).To(Succeed())
		makeReadOnly(place)
		before := stateOf(place)
		Expect(len(before)).To(BeNumerically(">", 10))

		p := u.call("inspect", snapshot, filepath.Join(place, "good"), filepath.Join(place, "failed"), "-w", "json")
		p.ends(ctx, 1, 20*time.Second)
		Expect(stateOf(place)).To(Equal(before))
		Expect(p.Out.Contents()).NotTo(MatchRegexp(`/w\d\d/k\d|w\d\d s\d{6}`), "a key or a value of the load")
		Expect(must(filepath.Glob(filepath.Join(u.home, ".etcd-drill-*")))).To(BeEmpty())

		var found struct{ Inspections []recovery.Inspection }
		Expect(json.Unmarshal(p.Out.Contents(), &found)).To(Succeed())
		Expect(found.Inspections).To(HaveLen(3))
		for _, one := range found.Inspections {
			Expect(one.Database.Content.RestorePoint).To(Equal(s.proof.Source.RestorePoint))
			Expect(one.Database.Content.Keys).To(Equal(s.proof.Source.Keys))
		}
		Expect(found.Inspections[0].Database.SHA256).To(Equal(s.proof.Source.SHA256))
		Expect(found.Inspections[1].Log.ClusterID).To(Equal(s.proof.Plan.ClusterID))
	}, SpecTimeout(time.Minute))
})

// failRestore has the released etcdutl restore a copy of the source in which one bit is wrong, and returns what it has left.
func (s *stage) failRestore(ctx context.Context) string {
	GinkgoHelper()
	data := must(os.ReadFile(s.proof.Source.Path))
	data[len(data)-1] ^= 1
	bad, dir := newFolder("bad.db"), newFolder("data")
	Expect(os.WriteFile(bad, data, 0o600)).To(Succeed())
	member := s.proof.Plan.Members[0]
	tool := must(release.Build(ctx, release.Request{CacheDir: cacheDir()})).Etcdutl
	out, err := exec.CommandContext(ctx, tool, "snapshot", "restore", bad, "--data-dir", dir, "--name", member.Name,
		"--initial-cluster", member.InitialCluster, "--initial-cluster-token", string(s.proof.Plan.Layout.Token),
		"--initial-advertise-peer-urls", member.PeerURL).CombinedOutput()
	Expect(err).To(HaveOccurred(), "%s", out)
	Expect(string(out)).To(ContainSubstring("expected sha256"))
	return dir
}

func copyOf(dir string) string {
	GinkgoHelper()
	copied := newFolder("copy")
	Expect(os.CopyFS(copied, os.DirFS(dir))).To(Succeed())
	return copied
}

// makeReadOnly takes every right to write below the folder, from the files on up.
func makeReadOnly(dir string) {
	GinkgoHelper()
	var paths []string
	everyFile(dir, func(path string, _ fs.FileInfo) { paths = append(paths, path) })
	for i := len(paths) - 1; i >= 0; i-- {
		mode := fs.FileMode(0o444)
		if must(os.Stat(paths[i])).IsDir() {
			mode = 0o555
			DeferCleanup(os.Chmod, paths[i], fs.FileMode(0o755)) // or an ordinary user could not remove what is in it
		}
		Expect(os.Chmod(paths[i], mode)).To(Succeed())
	}
}

// fileState is what a look must not change.
type fileState struct {
	mode     fs.FileMode
	size     int64
	modified time.Time
	sha256   [sha256.Size]byte
}

func stateOf(dir string) map[string]fileState {
	GinkgoHelper()
	states := map[string]fileState{}
	everyFile(dir, func(path string, info fs.FileInfo) {
		state := fileState{mode: info.Mode(), size: info.Size(), modified: info.ModTime()}
		if info.Mode().IsRegular() {
			state.sha256 = sha256.Sum256(must(os.ReadFile(path)))
		}
		states[path] = state
	})
	return states
}
