package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// etcdDirVariable turns the test binary into an etcd of one member, so that a test can kill or freeze a real process.
const etcdDirVariable = "LOAD_TEST_ETCD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(etcdDirVariable); dir != "" {
		if err := serveEtcd(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveEtcd prints the client URL and serves until its standard input ends, which it does when the test dies.
func serveEtcd(dir string) error {
	config := embed.NewConfig()
	config.Dir, config.LogLevel, config.LogOutputs = dir, "fatal", []string{"stderr"}
	config.UnsafeNoFsync, config.InitialClusterToken = true, dir // every directory is a cluster of its own
	anyPort, advertised := url.URL{Scheme: "http", Host: "127.0.0.1:0"}, url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	config.ListenClientUrls, config.ListenPeerUrls = []url.URL{anyPort}, []url.URL{anyPort}
	config.AdvertiseClientUrls, config.AdvertisePeerUrls = []url.URL{advertised}, []url.URL{advertised}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer etcd.Close()
	<-etcd.Server.ReadyNotify()
	fmt.Println("http://" + etcd.Clients[0].Addr().String())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// member is a real etcd in a process of its own. It is a Target.
type member struct {
	name    string
	dir     string
	mu      sync.Mutex
	url     string
	process *os.Process
}

func startMember(t testing.TB) *member {
	t.Helper()
	m := &member{name: "m1", dir: t.TempDir()}
	m.start(t)
	return m
}

func (m *member) start(t testing.TB) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), etcdDirVariable+"="+m.dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	check(t, err)
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	check(t, err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.url, m.process = strings.TrimSpace(line), cmd.Process
}

func (m *member) Name() string { return m.name }

func (m *member) Endpoint(context.Context) (harness.Endpoint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return harness.Endpoint{Client: m.url}, nil
}

func (m *member) signal(t testing.TB, s os.Signal) {
	t.Helper()
	check(t, m.process.Signal(s))
}

// kill ends the process and waits until its port is closed.
func (m *member) kill(t testing.TB) {
	t.Helper()
	check(t, m.process.Kill())
	_, err := m.process.Wait()
	check(t, err)
}

func (m *member) dial(t testing.TB) *clientv3.Client {
	t.Helper()
	client, err := harness.Dial(m.url, harness.Access{})
	check(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// revision is what the member reports now.
func (m *member) revision(t testing.TB) int64 {
	t.Helper()
	resp, err := m.dial(t).Get(testContext(t), "x")
	check(t, err)
	return resp.Header.Revision
}

// book is a ledger in memory.
type book struct {
	*ledger.Writer
	buffer *bytes.Buffer
}

func newBook() book {
	var buffer bytes.Buffer
	return book{ledger.NewWriter(&buffer), &buffer}
}

// entries reads the ended ledger.
func (b book) entries(t testing.TB) []ledger.Entry {
	t.Helper()
	var entries []ledger.Entry
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.buffer.Bytes())), nil }
	for entry, err := range ledger.ReadEntries(open) {
		check(t, err)
		entries = append(entries, entry)
	}
	return entries
}

// view is what ReadBack shows.
type view struct {
	Readback
	records []ledger.Record
	pairs   []ledger.Pair
}

func readBack(ctx context.Context, client *clientv3.Client, revision, compacted int64) (view, error) {
	var v view
	var err error
	v.Readback, err = ReadBack(ctx, client, ReadSpec{
		Revision: revision, Compacted: compacted, DigestKey: digestKey(),
		History:  func(r ledger.Record) error { v.records = append(v.records, r); return nil },
		Keyspace: func(p ledger.Pair) error { v.pairs = append(v.pairs, p); return nil },
	})
	return v, err
}

func digestKey() []byte { return []byte("a test's key") }

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// explain holds a history against the entries: every revision is owned by one acknowledged entry that made exactly these
// records. It returns the revisions that none owns.
func explain(t *testing.T, records []ledger.Record, entries []ledger.Entry) (unowned []int64) {
	t.Helper()
	owners := make(map[int64]ledger.Entry)
	for _, e := range entries {
		if !e.Owns {
			continue
		}
		if e.Outcome != ledger.Acknowledged {
			t.Errorf("entry w%d s%d owns revision %d and is %s", e.Worker, e.Seq, e.Revision, e.Outcome)
		}
		if other, taken := owners[e.Revision]; taken {
			t.Errorf("revision %d is owned by w%d s%d and by w%d s%d", e.Revision, other.Worker, other.Seq, e.Worker, e.Seq)
		}
		owners[e.Revision] = e
	}
	for rev, group := range byRevision(records) {
		owner, owned := owners[rev]
		delete(owners, rev)
		if !owned {
			unowned = append(unowned, rev)
			continue
		}
		if err := sameChanges(group, owner.Changes); err != nil {
			t.Errorf("revision %d of w%d s%d: %v", rev, owner.Worker, owner.Seq, err)
		}
	}
	for rev, e := range owners {
		t.Errorf("w%d s%d owns revision %d, which is not in the history", e.Worker, e.Seq, rev)
	}
	slices.Sort(unowned)
	return unowned
}

func byRevision(records []ledger.Record) map[int64][]ledger.Record {
	groups := make(map[int64][]ledger.Record)
	for _, r := range records {
		groups[r.Rev] = append(groups[r.Rev], r)
	}
	return groups
}

func sameChanges(records []ledger.Record, changes []ledger.Change) error {
	changes = slices.DeleteFunc(slices.Clone(changes), func(c ledger.Change) bool { return c.Void })
	if len(records) != len(changes) {
		return fmt.Errorf("%d records, %d changes", len(records), len(changes))
	}
	var errs []error
	for i, r := range records {
		c := changes[i]
		if r.Sub != int64(i) || r.Key != c.Key || r.Delete != c.Delete || r.Digest != c.Digest || r.Lease != c.Lease {
			errs = append(errs, fmt.Errorf("record %+v is not change %+v", r, c))
		}
		if !r.Delete && r.Mod != r.Rev {
			errs = append(errs, fmt.Errorf("record %+v has another mod revision", r))
		}
	}
	return errors.Join(errs...)
}
