package runtimetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness"
)

// clusterLife starts a cluster, restarts a member of it and kills all.
func clusterLife(t *testing.T, rt harness.Runtime, size int) {
	b := newBench(t, rt)
	layout := b.layout(size)
	var members []*member
	for _, seat := range layout.Seats {
		members = append(members, b.member(birth{layout: layout, seat: seat}))
	}
	must(t, inParallel(members, func(m *member) error { return m.Start(b.ctx) }))
	for _, m := range members {
		m.mustAnswer()
		must(t, m.do(b.ctx, func(ctx context.Context, c *clientv3.Client) error {
			list, err := c.MemberList(ctx)
			if err == nil && (len(list.Members) != size || list.Header.ClusterId != uint64(layout.ClusterID())) {
				t.Errorf("%s lists %d members of cluster %x, want %d of %s", m.name, len(list.Members), list.Header.ClusterId,
					size, layout.ClusterID())
			}
			return err
		}))
	}
	first, last := members[0], members[size-1]
	first.put("before", "restart")
	last.wants("before", "restart")
	last.end(harness.Terminate)
	must(t, last.Start(b.ctx))
	last.mustAnswer()
	last.wants("before", "restart")
	last.put("after", "restart")
	first.mustAnswer() // with two members the first had lost its leader too
	first.wants("after", "restart")
	killAll(b, members)
}

// killAll kills in parallel, since an engine may take seconds to take down one member.
func killAll(b *bench, members []*member) {
	b.t.Helper()
	must(b.t, inParallel(members, func(m *member) error {
		if err := m.Signal(b.ctx, harness.Kill); err != nil {
			return err
		}
		exit, err := m.Wait(b.ctx)
		if err == nil && exit.Code == 0 {
			err = fmt.Errorf("the killed %s ended with %+v", m.name, exit)
		}
		return err
	}))
}

// takeover starts a second cluster under the names of a dead one.
func takeover(t *testing.T, rt harness.Runtime) {
	b := newBench(t, rt)
	for _, generation := range []string{"", "-g2"} {
		layout := b.layout(2)
		var members []*member
		for _, seat := range layout.Seats {
			members = append(members, b.member(birth{layout: layout, seat: seat, node: seat.Name + generation}))
		}
		must(t, inParallel(members, func(m *member) error { return m.Start(b.ctx) }))
		for _, m := range members {
			m.mustAnswer()
			m.wants("generation", "")
		}
		members[0].put("generation", "lives")
		killAll(b, members)
	}
}

// nodeLife follows one node over several starts.
func nodeLife(t *testing.T, rt harness.Runtime) {
	b := newBench(t, rt)
	layout := b.layout(1)
	m := b.member(birth{layout: layout, seat: layout.Seats[0]})
	_, err := m.Wait(b.ctx)
	refused(t, "waiting for a node that was never started", err)
	_, err = m.Endpoint(b.ctx)
	refused(t, "asking a node that was never started for its address", err)
	refused(t, "a signal to a node that was never started", m.Signal(b.ctx, harness.Kill))
	if _, err := m.Logs(b.ctx); !errors.Is(err, harness.ErrNeverStarted) {
		t.Errorf("the log of a node that was never started: %v, want %v", err, harness.ErrNeverStarted)
	}

	must(t, m.Start(b.ctx))
	stillRunning(b, m) // at once, before etcd is up
	m.mustAnswer()
	value := "flushed-" + b.run.ID()
	m.put("key", value)
	before := time.Now()
	exit := m.end(harness.Terminate)
	if exit.OOM || exit.At.Before(before.Add(-time.Minute)) || exit.At.After(time.Now().Add(time.Minute)) {
		t.Errorf("the exit makes no sense: %+v at %s", exit, time.Now())
	}
	if db := fetch(b.ctx, t, m.disk, "member/snap/db"); !strings.Contains(string(db), value) {
		t.Error("the file of a terminated member lacks the last write")
	}
	if again, err := m.Wait(b.ctx); err != nil || again.Code != exit.Code || !again.At.Equal(exit.At) {
		t.Errorf("a second wait says %+v, %v; the first %+v", again, err, exit)
	}
	_, err = m.Endpoint(b.ctx)
	refused(t, "asking a stopped node for its address", err)

	must(t, m.Start(b.ctx))
	stillRunning(b, m) // although it had ended before
	m.mustAnswer()
	m.wants("key", value)
	if exit := m.end(harness.Kill); exit.Code == 0 {
		t.Errorf("a killed node ended with %+v", exit)
	}
	const ready = "ready to serve client requests" // server/embed/etcd.go or serve.go, in every supported version
	if n := strings.Count(m.log(), ready); n != 2 {
		t.Errorf("the log shows %d of 2 starts:\n%s", n, m.log())
	}
}

func stillRunning(b *bench, m *member) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 200*time.Millisecond)
	defer cancel()
	if exit, err := m.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		b.t.Errorf("waiting for a running node returned %+v, %v", exit, err)
	}
}

// frozen checks that a frozen node answers nobody, that thawing brings it back and that it can be killed.
func frozen(t *testing.T, rt harness.Runtime) {
	abilities, err := rt.Abilities(bounded(t))
	must(t, err)
	b := newBench(t, rt)
	m := b.single()
	if abilities.Freeze != nil {
		if err := m.Signal(b.ctx, harness.Freeze); !errors.Is(err, harness.ErrUnsupported) {
			t.Errorf("a runtime that cannot freeze returned %v", err)
		}
		t.Skip(abilities.Freeze)
	}
	m.put("frozen", "no")
	must(t, m.Signal(b.ctx, harness.Freeze))
	ctx, cancel := context.WithTimeout(b.ctx, 500*time.Millisecond)
	defer cancel()
	err = m.do(ctx, func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.Get(ctx, "frozen", clientv3.WithSerializable())
		return err
	})
	refused(t, "a read of a frozen member", err)
	must(t, m.Signal(b.ctx, harness.Thaw))
	m.mustAnswer()
	m.wants("frozen", "no")
	must(t, m.Signal(b.ctx, harness.Freeze))
	if exit := m.end(harness.Kill); exit.Code == 0 {
		t.Errorf("a node killed while frozen ended with %+v", exit)
	}
	must(t, m.Start(b.ctx))
	m.mustAnswer()
	m.wants("frozen", "no")
}

// broken starts etcd with a flag that it does not know.
func broken(t *testing.T, rt harness.Runtime) {
	b := newBench(t, rt)
	node, err := b.site.NewNode(b.ctx, harness.NodeSpec{
		Name: "odd", Disk: b.disk("odd"), Args: []string{"--no-such-flag-in-etcd"},
	})
	must(t, err)
	m := &member{bench: b, Node: node, name: "odd"}
	must(t, m.Start(b.ctx))
	exit, err := m.Wait(b.ctx)
	must(t, err)
	if exit.Code == 0 {
		t.Errorf("etcd accepted an unknown flag: %+v", exit)
	}
	if !strings.Contains(m.log(), "no-such-flag-in-etcd") {
		t.Errorf("the log of a node that ended at once lacks the reason:\n%s", m.log())
	}
}
