package e2e

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
)

// living is a cluster that stands for a user's own. It runs as plain processes, whose addresses are in their certificates.
type living struct {
	*harness.Cluster
	drill *drill.Drill
}

// live starts a cluster that goes with the spec.
func live(ctx context.Context, spec drill.Spec) living {
	GinkgoHelper()
	state := newFolder("state")
	runtime := must(openRuntime(ctx, host.Process, state))
	DeferCleanup(runtime.Close)
	whole := drill.DefaultSpec()
	whole.Members, whole.TLS, whole.Auth, whole.EtcdVersion = spec.Members, spec.TLS, spec.Auth, spec.EtcdVersion
	if spec.Members == 1 {
		whole.Backup = drill.Before
	}
	d, err := drill.Open(ctx, whole, drill.Options{
		Runtime: runtime, Worker: worker(), Folder: newFolder("living"), StateDir: state, Keep: drill.KeepNone,
	})
	DeferCleanup(d.Close)
	Expect(err).NotTo(HaveOccurred())
	return living{Cluster: must(d.Start(ctx)), drill: d}
}

// client is one of the first member, with every right.
func (l living) client(ctx context.Context) *clientv3.Client {
	GinkgoHelper()
	client := must(l.Members()[0].Dial(ctx))
	DeferCleanup(client.Close)
	return client
}

// put writes keys.
func (l living) put(ctx context.Context, pairs map[string]string) {
	GinkgoHelper()
	client := l.client(ctx)
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		must(client.Put(ctx, key, pairs[key]))
	}
}

// endpoints are the client URLs, as a user would name them.
func (l living) endpoints(ctx context.Context) []string {
	GinkgoHelper()
	var all []string
	for _, m := range l.Members() {
		all = append(all, must(m.Endpoint(ctx)).Client)
	}
	return all
}

// snapshot is a backup of the cluster.
func (l living) snapshot(ctx context.Context) string {
	GinkgoHelper()
	path := filepath.Join(filepath.Dir(newFolder("x")), "saved.db")
	must(fetch.Save(ctx, l.client(ctx), path))
	return path
}

// certificate writes the files of a client with this common name, and returns the flags that name them.
func (l living) certificate(u user, commonName string) []string {
	GinkgoHelper()
	authority, certificate, key, err := l.drill.Security().ClientFiles(commonName)
	Expect(err).NotTo(HaveOccurred())
	return []string{
		"--cacert", u.put("ca.pem", authority),
		"--cert", u.put(commonName+".pem", certificate), "--key", u.put(commonName+"-key.pem", key),
	}
}

// requests are what all members have been asked so far, by method, from their own metrics.
func (l living) requests(ctx context.Context) map[string]int {
	GinkgoHelper()
	config := must(l.drill.Security().Client("metrics"))
	config.InsecureSkipVerify = true //nolint:gosec // members are known by their names, not by addresses
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	count := regexp.MustCompile(`(?m)^grpc_server_started_total\{grpc_method="(\w+)",grpc_service="etcdserverpb\.(\w+)",.*\} (\d+)`)
	total := map[string]int{}
	for _, endpoint := range l.endpoints(ctx) {
		request := must(http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/metrics", nil))
		response, err := client.Do(request)
		Expect(err).NotTo(HaveOccurred())
		text := must(io.ReadAll(response.Body))
		Expect(response.Body.Close()).To(Succeed())
		for _, m := range count.FindAllStringSubmatch(string(text), -1) {
			total[m[2]+"/"+m[1]] += must(strconv.Atoi(m[3]))
		}
	}
	return total
}

// askedSince is what the members have been asked since they had been asked that.
func (l living) askedSince(ctx context.Context, before map[string]int) map[string]int {
	GinkgoHelper()
	asked := map[string]int{}
	for method, n := range l.requests(ctx) {
		if n != before[method] {
			asked[method] = n - before[method]
		}
	}
	return asked
}

var _ = Describe("a living cluster", Label("cli", "etcd"), func() {
	It("over TLS with authentication on is drilled, and is only read", func(ctx SpecContext) {
		cluster := live(ctx, drill.Spec{Members: 3, Auth: true})
		cluster.put(ctx, map[string]string{"/a": "1", "/b": "2", "/c": "3"})
		revision := must(cluster.client(ctx).Get(ctx, "/a")).Header.Revision
		before := cluster.requests(ctx)
		u := newUser()
		all := strings.Join(cluster.endpoints(ctx), ",")
		p := u.drill(append([]string{"--endpoints", all, "--rate", "8M"}, cluster.certificate(u, "root")...)...)
		p.ends(ctx, 0, ownWithin)
		p.expectNothingLeft(ctx)
		Expect(string(p.Out.Contents())).To(And(
			ContainSubstring("drill 1/1 snapshot of a living cluster, 3 endpoints, restored as 3 members"),
			MatchRegexp(`(?m)^ taken    from m\d \(https://\S+\), a healthy follower that is up to date, so that the leader is spared; `),
			ContainSubstring(" living   3/3 members of the living cluster give the HashKV of the snapshot\n"),
			ContainSubstring("auth on with 1 users"),
		))
		expectNoCopies(p.out)

		asked := cluster.askedSince(ctx, before)
		Expect(asked).To(And(HaveKeyWithValue("Maintenance/Snapshot", 1), HaveKeyWithValue("Maintenance/HashKV", 3)))
		Expect(slices.Sorted(maps.Keys(asked))).To(Equal(
			[]string{"Cluster/MemberList", "Maintenance/HashKV", "Maintenance/Snapshot", "Maintenance/Status"},
		), "it was asked for something else")
		Expect(must(cluster.client(ctx).Get(ctx, "/a")).Header.Revision).To(Equal(revision), "it was written to")
	}, SpecTimeout(ownWithin))

	It("of which one hangs is drilled from another; and from whoever is left, where the quorum is lost", func(ctx SpecContext) {
		cluster := live(ctx, drill.Spec{Members: 3, Auth: true})
		cluster.put(ctx, map[string]string{"/a": "1"})
		u := newUser()
		all := strings.Join(cluster.endpoints(ctx), ",")
		args := append([]string{"--endpoints", all, "--members", "1"}, cluster.certificate(u, "root")...)
		Expect(cluster.Members()[2].Signal(ctx, harness.Freeze)).To(Succeed())
		p := u.drill(args...)
		p.ends(ctx, 0, ownWithin)
		Expect(string(p.Out.Contents())).To(And(
			MatchRegexp(`(?m)^ taken    from m[12] .*; https://\S+: ask https://\S+: no answer within 5s`),
			ContainSubstring(" living   2/2 members of the living cluster give the HashKV of the snapshot\n"),
		))
		for _, lost := range cluster.Members()[1:] {
			must(lost.Kill(ctx))
		}
		probe := must(cluster.Members()[0].Probe(ctx))
		DeferCleanup(probe.Close)
		Eventually(ctx, func() (uint64, error) {
			health, err := probe.Health(ctx)
			return uint64(health.Leader), err
		}).WithTimeout(30 * time.Second).Should(BeZero())
		p = u.drill(args...)
		p.ends(ctx, 0, ownWithin)
		Expect(string(p.Out.Contents())).To(And(
			MatchRegexp(`(?m)^ taken    from m1 .*, the member that has applied the most; none that was named is healthy; `),
			ContainSubstring(" living   1/1 members of the living cluster give the HashKV of the snapshot\n"),
		))
	}, SpecTimeout(ownWithin))

	It("lets a password in, and says nothing of it", func(ctx SpecContext) {
		cluster := live(ctx, drill.Spec{Members: 1, Auth: true})
		cluster.put(ctx, map[string]string{"/a": "1"})
		u := newUser()
		files := cluster.certificate(u, "nobody")
		endpoint := cluster.endpoints(ctx)[0]
		before := cluster.requests(ctx)
		u.env = append(u.env, "ETCD_DRILL_PASSWORD="+cluster.drill.Root().Password)
		twice := endpoint + "," + endpoint
		p := u.drill(append([]string{"--endpoints", twice, "--user", "root", "--members", "1"}, files...)...)
		p.ends(ctx, 0, ownWithin)
		Expect(string(p.Out.Contents())).To(ContainSubstring(" living   1/1 members of the living cluster give"), "one was asked twice")
		expectSecret(p, cluster.drill.Root().Password)
		Expect(slices.Sorted(maps.Keys(cluster.askedSince(ctx, before)))).To(Equal([]string{
			"Auth/Authenticate", "Cluster/MemberList", "Maintenance/HashKV", "Maintenance/Snapshot", "Maintenance/Status",
		}))

		u.env = []string{"ETCD_DRILL_PASSWORD=not-the-password"}
		p = u.drill(append([]string{"--endpoints", endpoint, "--user", "root"}, files...)...)
		p.endsRefused(ctx, 2, "etcd says that the name or the password of root is wrong")
		expectSecret(p, "not-the-password")

		p = u.drill(append([]string{"--endpoints", endpoint, "--user", "root:nor-this"}, files...)...)
		p.endsRefused(ctx, 2, "etcd says that the name or the password of root is wrong")
		expectSecret(p, "nor-this")

		p = u.drill(append([]string{"--endpoints", endpoint}, files...)...)
		p.endsRefused(ctx, 2, "user is refused")
	}, SpecTimeout(ownWithin))

	It("that cannot be asked is refused in one line", func(ctx SpecContext) {
		cluster, other := live(ctx, drill.Spec{Members: 1, TLS: true}), live(ctx, drill.Spec{Members: 1, TLS: true})
		u := newUser()
		endpoint, theirs := cluster.endpoints(ctx)[0], other.certificate(u, "root")
		plain := "http" + strings.TrimPrefix(endpoint, "https")
		hangs := must(net.Listen("tcp", "127.0.0.1:0")) // it takes connections and never says a word
		DeferCleanup(hangs.Close)
		for says, args := range map[string][]string{
			"certificate is not trusted: x509: certificate signed":    append([]string{"--endpoints", endpoint}, theirs...),
			"it speaks TLS; write https:// instead of http://":        {"--endpoints", plain},
			"connect: connection refused":                             {"--endpoints", "127.0.0.1:1"},
			"no answer within 5s; see that it is the URL for clients": {"--endpoints", hangs.Addr().String()},
		} {
			u.drill(args...).endsRefused(ctx, 2, says)
		}
		for _, args := range [][]string{
			{"--endpoints", "a.example"}, {"--endpoints", "ftp://a.example:1"}, {"--cacert", "x"},
			{"--endpoints", "a.example:1", "--cert", "x"}, {"--endpoints", "a.example:1", "--user", "root"},
			{"--endpoints", "a.example:1", "--snapshot", "x"}, {"--endpoints", "a.example:1", "--rate", "5"},
			{"--endpoints", "a.example:1", "--expect", "x"},
		} {
			p := u.drill(args...)
			p.ends(ctx, 64, 10*time.Second)
			Expect(p.Out.Contents()).To(BeEmpty(), "%v", args)
		}
	}, SpecTimeout(ownWithin))
})

// expectSecret demands that nothing that the call printed or left tells this.
func expectSecret(p *program, secret string) {
	GinkgoHelper()
	Expect(secret).NotTo(BeEmpty())
	for where, text := range p.artefacts() {
		Expect(string(text)).NotTo(ContainSubstring(secret), where)
	}
}

// artefacts are all that a call printed and left, by name.
func (p *program) artefacts() map[string][]byte {
	GinkgoHelper()
	all := map[string][]byte{"stdout": p.Out.Contents(), "stderr": p.Err.Contents()}
	everyFile(p.out, func(path string, info os.FileInfo) {
		if info.Mode().IsRegular() {
			all[path] = must(os.ReadFile(path))
		}
	})
	return all
}
