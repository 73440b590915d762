package scenarios_test

import (
	"context"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.etcd.io/etcd/api/v3/authpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
)

// Authentication is on and the quorum is gone: etcd checks a password through raft, so that nobody can log in to save what is
// left.
var _ = Describe("quorum killed, authentication on", Label("etcd", "B3", "disaster:quorum-killed-auth"), func() {
	DescribeTable("a password saves nothing, what needs no login does, and users, roles and the switch are those of before",
		Label("issue:etcd#9554", "issue:etcd#7165"),
		func(ctx SpecContext, source recovery.Kind) {
			d := rehearse(ctx, drill.Spec{
				Members: 3, Fault: "kill", Lose: faults.Quorum, Source: source, Backup: drill.After, Auth: true,
			})
			old := must(d.Start(ctx))
			makeReader(ctx, old)
			early := logins(ctx, d, old)
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Kill(faults.Quorum)))
			Expect(outage).To(HaveLostQuorum())
			survivor := must(old.Member(outage.Survivors[0]))
			expectNoSave(ctx, func(ctx context.Context, _ string) error { // whoever logs in now
				client, err := as(ctx, d, survivor, d.Root())
				Expect(err).To(MatchError(harness.ErrNoLogin))
				Expect(client).To(BeNil())
				return err
			})
			expectNoSave(ctx, func(ctx context.Context, path string) error { // and who had logged in before
				_, err := fetch.Save(ctx, early[survivor.Name()], path)
				return err
			})

			proof := salvage(source)(ctx, d, load, outage)
			proof.Plan = must(d.Plan(proof.Source, proof.Down, identity.FreshToken()))
			proof.Reborn = must(d.Restore(ctx, proof.Plan))
			Expect(must(d.Verify(ctx, proof))).To(BeIntact())
			expectReader(ctx, d, proof.Reborn.Members()[0])
		},
		Entry("by the certificate of root", Label("via:snapshot", "size:3", "short"), SpecTimeout(3*time.Minute), recovery.SavedSnapshot),
		Entry("by the certificate of root, etcd 3.5", Label("via:snapshot", "size:3", "version:3.5"), SpecTimeout(3*time.Minute),
			recovery.SavedSnapshot),
		Entry("by a copy of the database", Label("via:db", "size:3"), SpecTimeout(3*time.Minute), recovery.DBCopy),
	)
})

// salvage takes what the outage has left: a snapshot of a survivor, or its file when it has stopped.
func salvage(source recovery.Kind) func(context.Context, *drill.Drill, *drill.Load, *drill.Outage) drill.Proof {
	return func(ctx context.Context, d *drill.Drill, load *drill.Load, outage *drill.Outage) drill.Proof {
		GinkgoHelper()
		proof := drill.Proof{Outage: outage}
		if source == recovery.SavedSnapshot {
			proof.Source = must(d.Rescue(ctx, outage))
		}
		proof.Book = must(load.Stop(ctx))
		proof.Down = must(d.StopAll(ctx, outage))
		if source == recovery.DBCopy {
			proof.Source = must(d.CopyDB(ctx, proof.Down, outage))
		}
		return proof
	}
}

// The user whom the scenario knows beside root, and what he may do.
const (
	reader   = "reader"
	password = "only to read"
	shelf    = "shelf/"
)

// as returns a client of the member whose certificate is nobody's; who asks, the login says.
func as(ctx context.Context, d *drill.Drill, m *harness.Member, login harness.Login) (*clientv3.Client, error) {
	endpoint, err := m.Endpoint(ctx)
	if err != nil {
		return nil, err
	}
	shown, err := d.Security().Client("")
	if err != nil {
		return nil, err
	}
	return harness.Dial(endpoint.Client, harness.Access{Login: login, TLS: shown}.To(m.Name()))
}

// logins returns for each member a client that has logged in as root with the password. It is of no use later: etcd's client logs
// in again for every stream (client/v3/retry_interceptor.go, streamClientInterceptor).
func logins(ctx context.Context, d *drill.Drill, cluster *harness.Cluster) map[string]*clientv3.Client {
	GinkgoHelper()
	clients := map[string]*clientv3.Client{}
	for _, m := range cluster.Members() {
		client := must(as(ctx, d, m, d.Root()))
		DeferCleanup(client.Close)
		clients[m.Name()] = client
	}
	return clients
}

// expectNoSave expects that saving ends at a deadline, which is the drill's and not etcd's, and leaves no file.
func expectNoSave(ctx context.Context, save func(ctx context.Context, path string) error) {
	GinkgoHelper()
	path, asked := filepath.Join(GinkgoT().TempDir(), "by-password.db"), time.Now()
	bounded, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	Expect(save(bounded, path)).To(MatchError(context.DeadlineExceeded))
	Expect(time.Since(asked)).To(BeNumerically("<", 6*time.Second), "etcd gives up after 7 s, if at all")
	Expect(os.ReadDir(filepath.Dir(path))).To(BeEmpty())
}

func makeReader(ctx context.Context, cluster *harness.Cluster) {
	GinkgoHelper()
	root := must(cluster.Members()[0].Dial(ctx))
	defer root.Close() //nolint:errcheck // every call has been answered by then
	must(root.RoleAdd(ctx, reader))
	must(root.RoleGrantPermission(ctx, reader, shelf, clientv3.GetPrefixRangeEnd(shelf), clientv3.PermissionType(clientv3.PermRead)))
	must(root.UserAdd(ctx, reader, password))
	must(root.UserGrantRole(ctx, reader, reader))
}

// expectReader asks the new member who may do what.
func expectReader(ctx context.Context, d *drill.Drill, m *harness.Member) {
	GinkgoHelper()
	anybody := must(as(ctx, d, m, harness.Login{}))
	defer anybody.Close() //nolint:errcheck // every call has been answered by then
	_, err := anybody.Get(ctx, shelf)
	Expect(err).To(MatchError(rpctypes.ErrPermissionDenied), "anonymous access")

	himself := must(as(ctx, d, m, harness.Login{User: reader, Password: password}))
	defer himself.Close() //nolint:errcheck // every call has been answered by then
	must(himself.Get(ctx, shelf, clientv3.WithPrefix()))
	_, err = himself.Put(ctx, shelf+"book", "")
	Expect(err).To(MatchError(rpctypes.ErrPermissionDenied))
	_, err = himself.Get(ctx, "elsewhere")
	Expect(err).To(MatchError(rpctypes.ErrPermissionDenied))

	root := must(m.Dial(ctx))
	defer root.Close() //nolint:errcheck // every call has been answered by then
	Expect(must(root.UserList(ctx)).Users).To(ConsistOf("root", reader))
	Expect(must(root.UserGet(ctx, reader)).Roles).To(ConsistOf(reader))
	permissions := must(root.RoleGet(ctx, reader)).Perm
	Expect(permissions).To(HaveLen(1))
	Expect(permissions[0].PermType).To(Equal(authpb.READ))
	Expect(string(permissions[0].Key)).To(Equal(shelf))
}
