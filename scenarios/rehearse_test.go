package scenarios_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// must returns the value of a phase and fails the spec on its error.
func must[T any](value T, err error) T {
	GinkgoHelper()
	if err != nil {
		Fail(err.Error()) // in words: the errors say what was tried, and their insides help nobody
	}
	return value
}

// rehearse opens a drill, of whose spec size and seed of the load are filled in, and the versions that its labels name, and
// closes it after the spec.
func rehearse(ctx SpecContext, spec drill.Spec, etcdArgs ...string) *drill.Drill {
	GinkgoHelper()
	id := harness.NewRunID()
	phase := &phase{}
	DeferCleanup(AttachProgressReporter(phase.report))
	spec = versioned(sized(spec, seed()))
	GinkgoWriter.Printf("run %s, seed %d\n", id, spec.Seed)
	Expect(os.WriteFile(filepath.Join(suite.runs(), id), nil, 0o600)).To(Succeed())

	opts := options(id)
	opts.EtcdArgs, opts.Notify = etcdArgs, phase.enter
	d, failure := drill.Open(ctx, spec, opts)
	DeferCleanup(func(ctx SpecContext) error {
		err := d.Close(ctx)
		if err == nil && !CurrentSpecReport().Failed() {
			return os.RemoveAll(suite.drill(id))
		}
		return errors.Join(err, attachEvidence(suite.drill(id)))
	}, NodeTimeout(3*time.Minute))
	return must(d, failure)
}

// options are those of a run with this ID.
func options(id string) drill.Options {
	return drill.Options{
		Runtime: suite.runtime, Worker: suite.worker(), Etcdutl: suite.tools().Etcdutl,
		Folder: suite.drill(id), StateDir: suite.state(), RunID: id, Keep: drill.KeepFailed,
	}
}

// sized fills in what is the same in all scenarios: a load that is large enough to be hit and small enough to be quick. A
// drill without a restore needs no source; its spec gets one all the same.
func sized(spec drill.Spec, seed uint64) drill.Spec {
	spec.Keys, spec.ValueBytes, spec.Workers, spec.Seed = 1000, 256, 32, seed
	if spec.Source == "" {
		spec.Source, spec.Backup = recovery.SavedSnapshot, drill.Before
	}
	return spec
}

// versioned fills in the versions that the labels of the running spec name.
func versioned(spec drill.Spec) drill.Spec {
	versions := versionsOf(CurrentSpecReport())
	if len(versions) > 0 {
		spec.EtcdVersion = versions[0]
		spec.RestoreVersion = versions[len(versions)-1]
	}
	return spec
}

// seed gives every spec a seed of its own, which follows from the suite's: `--seed` repeats a failure.
func seed() uint64 {
	hash := fnv.New64a()
	hash.Write(fmt.Appendf(nil, "%d %s", GinkgoRandomSeed(), CurrentSpecReport().FullText()))
	return hash.Sum64()
}

// skipUnlessAble skips the spec, with the reason, where the engine cannot do to a member what the fault needs.
func skipUnlessAble(ctx context.Context, fault faults.Fault) {
	GinkgoHelper()
	abilities := must(suite.runtime.Abilities(ctx))
	if fault.Name() == "pause" && abilities.Freeze != nil {
		Skip(abilities.Freeze.Error())
	}
}

// phase is where a drill is, for the report on a spec that takes long.
type phase struct{ last atomic.Pointer[drill.Event] }

func (p *phase) enter(e drill.Event) {
	p.last.Store(&e)
	GinkgoWriter.Printf("%s %-12s %s\n", e.At.Format("15:04:05.000"), e.Name, e.Text)
}

func (p *phase) report() string {
	e := p.last.Load()
	if e == nil {
		return "the drill has not begun"
	}
	return fmt.Sprintf("the drill is at %q (%s) for %s", e.Name, e.Text, time.Since(e.At).Round(time.Millisecond))
}

// logTail is how much of every etcd's log goes into the report of a failure.
const logTail = 4 << 10

// attachEvidence adds to the report of a failed spec where its drill lies, what was judged, and what every etcd said last.
func attachEvidence(folder string) error {
	AddReportEntry("drill folder", folder, ReportEntryVisibilityFailureOrVerbose)
	verdict, err := storedVerdict(folder)
	if err != nil {
		return err
	}
	AddReportEntry("verdict", verdict, ReportEntryVisibilityFailureOrVerbose)
	logs, err := filepath.Glob(filepath.Join(folder, "members", "*", "etcd.log"))
	if err != nil {
		return err
	}
	for _, path := range logs {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := "log of etcd " + filepath.Base(filepath.Dir(path))
		AddReportEntry(name, string(text[max(0, len(text)-logTail):]), ReportEntryVisibilityFailureOrVerbose)
	}
	return nil
}

func storedVerdict(folder string) (string, error) {
	text, err := os.ReadFile(filepath.Join(folder, "verdict.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "the drill ended before it was judged", nil
	}
	if err != nil {
		return "", err
	}
	var verdict drill.Verdict
	if err := json.Unmarshal(text, &verdict); err != nil {
		return "", fmt.Errorf("read verdict of %s: %w", folder, err)
	}
	return strings.TrimSpace(matchers.Explain(verdict)), nil
}

// clusterIDs returns under which cluster ID each member answers.
func clusterIDs(ctx context.Context, cluster *harness.Cluster) []identity.ClusterID {
	GinkgoHelper()
	ids := make([]identity.ClusterID, 0, cluster.Size())
	for _, m := range cluster.Members() {
		probe := must(m.Probe(ctx))
		reading, err := probe.Read(ctx, harness.Serializable)
		probe.Close()
		ids = append(ids, must(reading, err).Cluster)
	}
	return ids
}

// settled returns when every member has applied what the cluster has acknowledged.
func settled(ctx context.Context, cluster *harness.Cluster) error {
	return cluster.AwaitReady(ctx, time.Minute)
}

// flush has every member write to its database what it has applied: etcd does so before it sends a snapshot.
func flush(ctx context.Context, cluster *harness.Cluster) error {
	for _, m := range cluster.Members() {
		if err := flushMember(ctx, m); err != nil {
			return fmt.Errorf("flush %s: %w", m.Name(), err)
		}
	}
	return nil
}

func flushMember(ctx context.Context, m *harness.Member) error {
	client, err := m.Dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()                            //nolint:errcheck // nothing is lost by closing
	if _, err := client.Get(ctx, "x"); err != nil { // linearizable: the member has applied by now what was acknowledged before
		return err
	}
	snapshot, err := client.Snapshot(ctx)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, snapshot)
	return errors.Join(err, snapshot.Close())
}
