package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/await"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

func TestLedgerExplainsTheWholeHistoryOfACleanRun(t *testing.T) {
	ctx := testContext(t)
	m, b := startMember(t), newBook()
	l, err := Start(ctx, Options{
		Targets: []Target{m}, Ledger: b, Keys: 3000, Seed: 7, DigestKey: digestKey(),
		CallTimeout: 10 * time.Second, DrainGrace: 10 * time.Second, // a slow machine must not make a clean run unclean
	})
	check(t, err)
	check(t, l.AwaitFilled(ctx))
	tally, err := l.Stop(ctx)
	check(t, err)

	entries, revision := b.entries(t), m.revision(t)
	if got := count(entries); got != tally || tally != l.Tally() {
		t.Errorf("the tally is %+v, the ledger holds %+v", tally, got)
	}
	if tally.Acknowledged < 3000 || tally.Unknown != 0 || tally.Refused != 0 {
		t.Errorf("tally of a clean run: %+v", tally)
	}
	v, err := readBack(ctx, m.dial(t), revision, 0)
	check(t, err)
	if unowned := explain(t, v.records, entries); len(unowned) > 0 {
		t.Errorf("nobody owns the revisions %v", unowned)
	}
	for rev := int64(2); rev <= revision; rev++ { // a new store begins with revision 1
		if _, found := slices.BinarySearchFunc(v.records, rev, compareRevision); !found {
			t.Fatalf("the history lacks revision %d", rev)
		}
	}
	mixtureIsThere(t, entries)
	leasesAreAttached(t, entries, v)
}

func compareRevision(r ledger.Record, rev int64) int { return int(r.Rev - rev) }

func mixtureIsThere(t *testing.T, entries []ledger.Entry) {
	t.Helper()
	seen := make(map[string]int)
	for _, e := range entries {
		seen[string(e.Op)]++
		if e.Outcome != ledger.Acknowledged {
			continue
		}
		if e.Revision == 0 || e.Member == 0 || e.Cluster == 0 || e.Return.Before(e.Call) {
			t.Fatalf("an acknowledged entry lacks something: %+v", e)
		}
		if !e.Owns {
			seen["unowned "+string(e.Op)]++
		}
		for _, c := range e.Changes {
			if c.Void && e.Op == ledger.OpTxn && e.Owns {
				seen["void in txn"]++
			}
		}
	}
	for _, kind := range []string{
		"put", "delete", "txn", "grant", "unowned delete", "unowned txn", "unowned grant", "void in txn",
	} {
		if seen[kind] == 0 {
			t.Errorf("the load made no %s: %v", kind, seen)
		}
	}
	if seen["unowned put"] > 0 || seen["unowned grant"] != seen["grant"] {
		t.Errorf("a put owns its revision and a grant owns none: %v", seen)
	}
}

func leasesAreAttached(t *testing.T, entries []ledger.Entry, v view) {
	t.Helper()
	granted := make(map[int64]bool)
	for _, e := range entries {
		if e.Op == ledger.OpGrant && e.Outcome == ledger.Acknowledged {
			granted[e.Lease] = e.TTLSeconds == 3600
		}
	}
	attached := 0
	for _, p := range v.pairs {
		if p.Lease == 0 {
			continue
		}
		attached++
		if !granted[p.Lease] {
			t.Errorf("%s has lease %x, which was not granted for an hour", p.Key, p.Lease)
		}
	}
	if attached == 0 {
		t.Error("no key has a lease")
	}
}

func TestAFailedCompareOwnsNothing(t *testing.T) {
	ctx := testContext(t)
	m := startMember(t)
	client := m.dial(t)
	before := m.revision(t)
	o := operation{
		seq: 1, op: ledger.OpTxn, guard: guard{kind: neverHolds, key: "/w00/k000001"},
		edits: []edit{{key: "/w00/k000001", value: "v"}, {key: "/w00/k000002", remove: true}},
	}
	l := &Load{options: Options{CallTimeout: time.Second}}
	entry := (&worker{load: l, digest: digester(digestKey())}).call(ctx, client, o)
	if entry.Outcome != ledger.Acknowledged || entry.Owns || entry.Revision != before {
		t.Errorf("entry of a transaction that wrote nothing: %+v", entry)
	}
	if after := m.revision(t); after != before {
		t.Errorf("the store went from revision %d to %d", before, after)
	}
}

func TestWhatWasInFlightWhenTheServerDiedIsUnknownAndTheLoadGoesOnAtTheNewAddress(t *testing.T) {
	ctx := testContext(t)
	m, b := startMember(t), newBook()
	l, err := Start(ctx, Options{Targets: []Target{m}, Ledger: b, Keys: 2000, Seed: 8, DigestKey: digestKey()})
	check(t, err)
	check(t, l.AwaitFilled(ctx))
	m.kill(t)
	dead := l.Tally()
	m.start(t)
	awaitMore(t, l, dead.Acknowledged+200)
	tally, err := l.Stop(ctx)
	check(t, err)

	entries := b.entries(t)
	if got := count(entries); got != tally {
		t.Errorf("the tally is %+v, the ledger holds %+v", tally, got)
	}
	if tally.Unknown == 0 || tally.Unknown > 10*64 {
		t.Errorf("%d writes are unknown", tally.Unknown)
	}
	v, err := readBack(ctx, m.dial(t), m.revision(t), 0)
	check(t, err)
	unowned := explain(t, v.records, entries)
	t.Logf("%+v; revisions of unknown writes: %v", tally, unowned)
	groups := byRevision(v.records)
	for _, rev := range unowned {
		if !slices.ContainsFunc(entries, func(e ledger.Entry) bool {
			return e.Outcome == ledger.Unknown && slices.ContainsFunc(e.Changes, func(c ledger.Change) bool {
				return c.Key == groups[rev][0].Key && c.Digest == groups[rev][0].Digest
			})
		}) {
			t.Errorf("revision %d is explained by no unknown entry: %+v", rev, groups[rev])
		}
	}
}

// awaitMore waits until that many writes are acknowledged.
func awaitMore(t *testing.T, l *Load, acknowledged int64) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	ctx := testContext(t)
	for l.Tally().Acknowledged < acknowledged {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("the load stands at %+v", l.Tally())
		}
	}
}

func TestStopReturnsSoonAndLeavesNothingRunning(t *testing.T) {
	for name, strike := range map[string]func(*testing.T, *member){
		"beside a living server": func(*testing.T, *member) {},
		"beside a frozen server": func(t *testing.T, m *member) { m.signal(t, syscall.SIGSTOP) },
		"beside a killed server": func(t *testing.T, m *member) { m.kill(t) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			m, b := startMember(t), newBook()
			before := goleak.IgnoreCurrent()
			l, err := Start(ctx, Options{Targets: []Target{m}, Ledger: b, Keys: 200, DigestKey: digestKey()})
			check(t, err)
			check(t, l.AwaitFilled(ctx))
			strike(t, m)
			started := time.Now()
			tally, err := l.Stop(ctx)
			check(t, err)
			if took := time.Since(started); took > time.Second {
				t.Errorf("stop took %s", took)
			}
			again, err := l.Stop(ctx)
			check(t, err)
			if got := count(b.entries(t)); got != tally || again != tally {
				t.Errorf("the tally is %+v, then %+v, the ledger holds %+v", tally, again, got)
			}
			goleak.VerifyNone(t, before)
		})
	}
}

func TestADeadClusterFillsNoLedger(t *testing.T) {
	ctx := testContext(t)
	m, b := startMember(t), newBook()
	m.kill(t)
	l, err := Start(ctx, Options{Targets: []Target{m, &lost{}}, Ledger: b, Keys: 1})
	check(t, err)
	short, cancel := context.WithTimeout(ctx, 700*time.Millisecond)
	defer cancel()
	if err := l.AwaitFilled(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the fill of a dead cluster ended with %v", err)
	}
	tally, err := l.Stop(ctx)
	check(t, err)
	if tally != (Tally{}) {
		t.Errorf("writes to nobody: %+v", tally)
	}
}

// lost is a member whose address nobody knows.
type lost struct{}

func (*lost) Name() string { return "m2" }
func (*lost) Endpoint(context.Context) (harness.Endpoint, error) {
	return harness.Endpoint{}, errors.New("it has none")
}

func TestALedgerThatCannotBeWrittenEndsTheLoadAndStaysUnended(t *testing.T) {
	ctx := testContext(t)
	full := errors.New("no space left")
	b := &fullBook{err: full}
	l, err := Start(ctx, Options{Targets: []Target{startMember(t)}, Ledger: b, Keys: 10})
	check(t, err)
	if err := l.AwaitFilled(ctx); !errors.Is(err, full) {
		t.Errorf("the fill ended with %v", err)
	}
	if _, err := l.Stop(ctx); !errors.Is(err, full) {
		t.Errorf("stop ended with %v", err)
	}
	if b.ended {
		t.Error("the ledger was ended although it lacks entries")
	}
}

type fullBook struct {
	err   error
	ended bool
}

func (b *fullBook) Append(ledger.Entry) error { return b.err }
func (b *fullBook) Flush() error              { return nil }
func (b *fullBook) End() error                { b.ended = true; return nil }

func TestTheRateBoundsWhatComesAfterTheFill(t *testing.T) {
	ctx := testContext(t)
	b := newBook()
	l, err := Start(ctx, Options{Targets: []Target{startMember(t)}, Ledger: b, Profile: Puts, Keys: 500, Rate: 100, Workers: 8})
	check(t, err)
	check(t, l.AwaitFilled(ctx))
	atFill := l.Tally().Acknowledged
	awaitMore(t, l, atFill+50)
	tally, err := l.Stop(ctx)
	check(t, err)
	entries := b.entries(t)
	took := entries[len(entries)-1].Return.Sub(entries[500].Return)
	if rate := float64(tally.Acknowledged-500) / took.Seconds(); rate > 150 {
		t.Errorf("%.0f writes per second after the fill", rate)
	}
	for _, e := range entries {
		if e.Op != ledger.OpPut || len(e.Changes) != 1 {
			t.Fatalf("not a put of one key: %+v", e)
		}
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	m, b := &lost{}, newBook()
	for name, o := range map[string]Options{
		"no member":        {Ledger: b},
		"no ledger":        {Targets: []Target{m}},
		"unknown":          {Targets: []Target{m}, Ledger: b, Profile: "reads"},
		"negative":         {Targets: []Target{m}, Ledger: b, Keys: -1},
		"small value":      {Targets: []Target{m}, Ledger: b, ValueBytes: 8},
		"fractional lease": {Targets: []Target{m}, Ledger: b, LeaseTTL: 1500 * time.Millisecond},
	} {
		if _, err := Start(context.Background(), o); err == nil || !strings.HasPrefix(err.Error(), "start load: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func count(entries []ledger.Entry) Tally {
	var t Tally
	for _, e := range entries {
		switch e.Outcome {
		case ledger.Acknowledged:
			t.Acknowledged++
		case ledger.Refused:
			t.Refused++
		case ledger.Unknown:
			t.Unknown++
		}
	}
	return t
}

func TestAcknowledgedEntriesNameTheMemberThatAnswered(t *testing.T) {
	ctx := testContext(t)
	m, b := startMember(t), newBook()
	l, err := Start(ctx, Options{Targets: []Target{m}, Ledger: b, Keys: 50, Workers: 4})
	check(t, err)
	check(t, l.AwaitFilled(ctx))
	_, err = l.Stop(ctx)
	check(t, err)
	resp, err := m.dial(t).Get(ctx, "x")
	check(t, err)
	want := fmt.Sprint(identity.MemberID(resp.Header.MemberId), identity.ClusterID(resp.Header.ClusterId))
	for _, e := range b.entries(t) {
		if e.Outcome == ledger.Acknowledged && fmt.Sprint(e.Member, e.Cluster) != want {
			t.Fatalf("entry of %s at %s instead of %s", e.Member, e.Cluster, want)
		}
	}
}

func TestAWriteThatAnotherClusterAcknowledgesIsUnknown(t *testing.T) {
	ctx := testContext(t)
	m, b := startMember(t), newBook()
	l, err := Start(ctx, Options{
		Targets: []Target{m}, Access: harness.Access{Cluster: 1}, Ledger: b, Workers: 2, Seed: 7, DigestKey: digestKey(),
	})
	check(t, err)
	check(t, await.Until(ctx, await.Condition{Name: "writes"}, func(context.Context) error {
		if l.Tally().Unknown < 4 {
			return errors.New("too few")
		}
		return nil
	}))
	tally, err := l.Stop(ctx)
	check(t, err)
	if tally.Acknowledged != 0 || tally.Refused != 0 {
		t.Errorf("tally: %+v", tally)
	}
	for _, e := range b.entries(t) {
		if e.Cluster != 0 || e.Revision != 0 || !strings.Contains(e.Reason, harness.ErrForeignCluster.Error()) {
			t.Errorf("entry: %+v", e)
		}
	}
}
