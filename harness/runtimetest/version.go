package runtimetest

import (
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
)

// versions checks that a node runs the version that was asked for: the default by its name, and another one on the same site.
func versions(t *testing.T, rt harness.Runtime, other string) {
	b := newBench(t, rt)
	byDefault, err := rt.Prepare(b.ctx, "")
	must(t, err)
	byName, err := rt.Prepare(b.ctx, byDefault.Version)
	must(t, err)
	if byName.Version != byDefault.Version || byName.Engine != byDefault.Engine {
		t.Errorf("the default is %+v, and by its name %+v", byDefault, byName)
	}
	layout := b.layout(1)
	seat := layout.Seats[0]
	newer := b.member(birth{layout: layout, seat: seat, version: byDefault.Version})
	newer.runs(byDefault.Version)
	newer.end(harness.Terminate)
	if other == "" {
		return
	}
	prepared, err := rt.Prepare(b.ctx, other)
	must(t, err)
	if prepared.Version == byDefault.Version {
		t.Fatalf("asked for version %s, the runtime prepared its default %s", other, prepared.Version)
	}
	older := b.member(birth{layout: layout, seat: seat, node: "other", version: other})
	older.runs(prepared.Version)
}

// runs starts the member and holds what it says of itself against this version.
func (m *member) runs(version string) {
	m.t.Helper()
	must(m.t, m.Start(m.ctx))
	m.mustAnswer()
	endpoint, err := m.Endpoint(m.ctx)
	must(m.t, err)
	client, err := harness.Dial(endpoint.Client, harness.Access{})
	must(m.t, err)
	defer client.Close() //nolint:errcheck // the call has been answered by then
	status, err := client.Status(m.ctx, endpoint.Client)
	must(m.t, err)
	if status.Version != version {
		m.t.Errorf("%s runs etcd %s, not %s as asked", m.name, status.Version, version)
	}
}
