package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/onsi/gomega/gexec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/recovery/spoil"
)

var _ = Describe("what is in a backup of one's own", Label("cli", "etcd"), func() {
	It("is read as root where authentication is on", func(ctx SpecContext) {
		cluster := live(ctx, drill.Spec{Members: 1, Auth: true})
		cluster.put(ctx, map[string]string{"/a": "1"})
		p := newUser().drill("--snapshot", cluster.snapshot(ctx), "--members", "3")
		p.ends(ctx, 0, ownWithin)
		Expect(string(p.Out.Contents())).To(And(
			ContainSubstring(", TLS, authentication on\n"), ContainSubstring("auth on with 1 users"),
			ContainSubstring("tokens of clients that had logged in"),
		))
	}, SpecTimeout(ownWithin))

	It("may be an alarm, which is disarmed and told of, and leases that end meanwhile", func(ctx SpecContext) {
		cluster := live(ctx, drill.Spec{Members: 1})
		client := cluster.client(ctx)
		lease := must(client.Grant(ctx, 1))
		must(client.Put(ctx, "/short", "1", clientv3.WithLease(lease.ID)))
		must(client.Put(ctx, "/a", "1"))
		raise(ctx, client, pb.AlarmType_NOSPACE)
		p := newUser().drill("--snapshot", cluster.snapshot(ctx))
		p.ends(ctx, 0, ownWithin)
		Expect(string(p.Out.Contents())).To(MatchRegexp(
			`(?m)^ hazard   the source carries alarm NOSPACE of member [0-9a-f]+: a cluster restored from it refuses writes`))
		Expect(string(p.Err.Contents())).To(ContainSubstring("disarmed NOSPACE of "))
		Expect(p.report().Verdict.Compared.Leases).To(BeEquivalentTo(1))
	}, SpecTimeout(ownWithin))

	It("comes back on etcd 3.5 if that wrote it, which says so less plainly", func(ctx SpecContext) {
		cluster := live(ctx, drill.Spec{Members: 1, EtcdVersion: "3.5"})
		cluster.put(ctx, map[string]string{"/a": "1", "/b": "2"})
		p := newUser().drill("--snapshot", cluster.snapshot(ctx), "--members", "3")
		p.ends(ctx, 0, ownWithin)
		Expect(p.report().Runtime.EtcdVersion).To(HavePrefix("3.5."))
		Expect(p.report().Backup.StorageVersion).To(BeEmpty())
	}, SpecTimeout(ownWithin))

	It("proves nothing if it is nothing", func(ctx SpecContext) {
		p := newUser().drill("--snapshot", live(ctx, drill.Spec{Members: 1}).snapshot(ctx), "--members", "1")
		p.ends(ctx, 2, ownWithin)
		Expect(string(p.Out.Contents())).To(ContainSubstring("the keyspace of the backup is empty"))
	}, SpecTimeout(ownWithin))

	It("may be the time, which tells how old it is", func(ctx SpecContext) {
		cluster := live(ctx, drill.Spec{Members: 1})
		cluster.put(ctx, map[string]string{
			"/beat": time.Now().Add(-90 * time.Second).Format(time.RFC3339), "/none": "half past secret", "/later": "2099-01-01T00:00:00Z",
		})
		file := cluster.snapshot(ctx)
		for _, c := range []struct {
			code int
			says string
			args []string
		}{
			{0, "before the drill (RPO)", []string{"--canary", "/beat", "--canary-max-age", "1h"}},
			{1, "target missed: canary-max-age", []string{"--canary", "/beat", "--canary-max-age", "10s"}},
			{1, "target missed: rpo", []string{"--canary", "/beat", "--rpo", "10s"}},
			{2, "name one with --canary", []string{"--rpo", "10s"}},
			{2, `how old the backup is could not be told from "/absent": the backup does not hold it`, []string{"--canary", "/absent"}},
			{2, "its value is neither a time in RFC 3339 nor a number of seconds", []string{"--canary", "/none"}},
			{2, "the clocks do not agree", []string{"--canary", "/later"}},
			{64, "name the key with --canary KEY", []string{"--canary-max-age", "1h"}},
			{64, "every backup is older than that", []string{"--canary", "/beat", "--canary-max-age", "0s"}},
		} {
			p := newUser().drill(append([]string{"--snapshot", file, "--members", "1"}, c.args...)...)
			p.ends(ctx, c.code, ownWithin)
			Expect(string(p.Out.Contents())+string(p.Err.Contents())).To(ContainSubstring(c.says), "%v", c.args)
			if c.code != 64 {
				expectSecret(p, "secret")
			}
		}
	}, SpecTimeout(ownWithin))

	It("is known again by the manifest that was written when it was made", func(ctx SpecContext) {
		cluster := live(ctx, drill.Spec{Members: 1})
		cluster.put(ctx, map[string]string{"/hidden": "secret"})
		u, file := newUser(), cluster.snapshot(ctx)
		made := u.call("manifest", file)
		made.ends(ctx, 0, time.Minute)
		Expect(document(made.Out.Contents())).To(HaveKeyWithValue("sha256", digest(file)))
		Expect(string(made.Out.Contents())).NotTo(Or(ContainSubstring("secret"), ContainSubstring("hidden")))
		manifest := u.put("manifest.json", made.Out.Contents())

		u.stdin = strings.NewReader(string(gzipped(must(os.ReadFile(file)))))
		p := u.drill("--snapshot", "-", "--members", "1", "--expect", manifest)
		p.ends(ctx, 0, ownWithin)
		Expect(string(p.Out.Contents())).To(ContainSubstring(
			" manifest the backup is the one of which manifest " + manifest + " was made at "))

		cluster.put(ctx, map[string]string{"/hidden": "another secret"})
		u.stdin = nil
		p = u.drill("--snapshot", cluster.snapshot(ctx), "--expect", manifest)
		p.endsRefused(ctx, 1, "restore point 3 instead of 2")
		Expect(string(p.Out.Contents())).To(ContainSubstring("\n  other-backup: "))

		u.drill("--snapshot", file, "--expect", file).endsRefused(ctx, 2, "no manifest of a backup")
		bad := u.call("manifest", manifest)
		bad.ends(ctx, 1, time.Minute)
		Expect(string(bad.Err.Contents())).To(ContainSubstring("not a bbolt database"))
	}, SpecTimeout(ownWithin))

	DescribeTable("is told to nobody: values never, and names of keys only where they may be", func(ctx SpecContext, hidden bool) {
		cluster := live(ctx, drill.Spec{Members: 1, Auth: true})
		client := cluster.client(ctx)
		lease := must(client.Grant(ctx, 3600))
		must(client.Put(ctx, "/planted-name/a", "planted-value-1", clientv3.WithLease(lease.ID)))
		for i := range 30 { // the order of hidden names is another one
			must(client.Put(ctx, fmt.Sprintf("/registry/planted-name/%02d", i), "k8s:enc:planted-value:v1:2"))
		}
		must(client.Put(ctx, "/planted-name/gone", "planted-value-3"))
		must(client.Delete(ctx, "/planted-name/gone"))
		must(client.Put(ctx, "/planted-name/beat", "planted-value-4"))
		must(client.RoleAdd(ctx, "reader"))
		must(client.RoleGrantPermission(ctx, "reader", "/planted-name/", "/planted-name0", clientv3.PermissionType(clientv3.PermRead)))
		args := []string{"--snapshot", cluster.snapshot(ctx), "--members", "3"}
		if hidden {
			args = append(args, "--redact", "keys", "--canary", "/planted-name/beat", "--bump-revision", "1000000000", "--mark-compacted")
		}
		u := newUser()
		summary := u.put("summary.md", nil)
		u.env = append(u.env, "GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY="+summary)
		p := u.drill(args...)
		code := 0
		if hidden {
			code = 2 // the canary holds no time
		}
		p.ends(ctx, code, ownWithin)
		told := string(must(os.ReadFile(summary)))
		Expect(told).To(And(ContainSubstring("## etcd-drill"), Not(ContainSubstring("planted-value"))))
		u.call("verify", p.out).ends(ctx, code, time.Minute)
		verdict := p.report().Verdict
		Expect(verdict.Compared.Keys).To(BeEquivalentTo(32))
		Expect(verdict.Compared.Members).To(Equal(3))
		Expect(verdict.Findings).To(HaveLen(code / 2))
		expectSecret(p, "planted-value")
		Expect(string(p.Out.Contents())).To(ContainSubstring(" advice   you also need the key: encrypted at rest are 30 of 30 "))
		if hidden {
			expectSecret(p, "planted-name")
			Expect(told).NotTo(ContainSubstring("planted-name"))
			Expect(string(must(os.ReadFile(filepath.Join(p.out, "members", "m1", "etcd.log"))))).To(
				And(ContainSubstring("ready to serve client requests"), ContainSubstring("(left out)")))
			Expect(string(must(os.ReadFile(filepath.Join(p.out, "source", "keyspace.jsonl"))))).To(ContainSubstring(`{"k":"key:`))
		}
	},
		Entry("shown", false, SpecTimeout(ownWithin)),
		Entry("hidden", true, SpecTimeout(ownWithin)),
	)

	It("is told to nobody where it is refused or damaged", func(ctx SpecContext) {
		cluster := live(ctx, drill.Spec{Members: 1})
		pairs := map[string]string{}
		for i := range 400 {
			pairs[fmt.Sprintf("/planted-name/%03d", i)] = strings.Repeat("planted-value", 20)
		}
		cluster.put(ctx, pairs)
		good := must(os.ReadFile(cluster.snapshot(ctx)))
		for _, variant := range spoil.Variants() {
			By(variant.Name)
			u := newUser()
			p := u.drill("--snapshot", u.put("backup", must(variant.Spoil(slices.Clone(good)))), "--members", "1", "--redact", "keys")
			Eventually(ctx, p.Session).WithTimeout(ownWithin).Should(gexec.Exit())
			expectSecret(p, "planted")
		}
	}, SpecTimeout(ownWithin))

	It("may be a whole data directory, as a drill keeps it", func(ctx SpecContext) {
		u := newUser()
		u.choice = "process" // whose disks are folders
		first := u.drill("--snapshot", absolute(kubernetesBackup), "--members", "1", "--keep", "all")
		first.ends(ctx, 0, ownWithin)
		var data string
		everyFile(first.out, func(path string, _ fs.FileInfo) {
			if strings.HasSuffix(path, "/member/snap/db") {
				data = strings.TrimSuffix(path, "/member/snap/db")
			}
		})
		Expect(data).NotTo(BeEmpty())
		before := digest(filepath.Join(data, "member", "snap", "db"))
		p := u.drill("--snapshot", data, "--members", "1")
		p.ends(ctx, 0, ownWithin)
		Expect(digest(filepath.Join(data, "member", "snap", "db"))).To(Equal(before))
		Expect(string(p.Out.Contents())).To(And(
			ContainSubstring(" backup   data directory, "), ContainSubstring("no hash"), ContainSubstring("of Kubernetes"),
		))
	}, SpecTimeout(ownWithin))

	// One that has lost its hash, and nothing else, is a db copy as far as anybody can tell.
	It("is refused with exit 1 in every way in which a file can be damaged", func(ctx SpecContext) {
		cluster, pairs := live(ctx, drill.Spec{Members: 1}), map[string]string{}
		for i := range 400 {
			pairs[fmt.Sprintf("/key/%03d", i)] = strings.Repeat("v", 300)
		}
		cluster.put(ctx, pairs)
		good := must(os.ReadFile(cluster.snapshot(ctx)))
		for _, variant := range spoil.Variants() {
			code := 1
			if variant.Name == spoil.Intact || variant.Name == spoil.NoTrailer {
				code = 0
			}
			By(variant.Name)
			u := newUser()
			file := u.put("backup", must(variant.Spoil(slices.Clone(good))))
			before := digest(file)
			p := u.drill("--snapshot", file, "--members", "1")
			p.ends(ctx, code, ownWithin)
			Expect(digest(file)).To(Equal(before), variant.Name)
			expectNoCopies(p.out)
		}
	}, SpecTimeout(ownWithin))
})

// raise raises an alarm of the member that the client is bound to.
func raise(ctx context.Context, client *clientv3.Client, alarm pb.AlarmType) {
	GinkgoHelper()
	status := must(client.Status(ctx, client.Endpoints()[0]))
	must(pb.NewMaintenanceClient(client.ActiveConnection()).Alarm(ctx, &pb.AlarmRequest{
		Action: pb.AlarmRequest_ACTIVATE, MemberID: status.Header.MemberId, Alarm: alarm,
	}))
}

func absolute(path string) string {
	GinkgoHelper()
	return must(filepath.Abs(path))
}
