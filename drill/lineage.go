package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// ErrTwoLineages marks two histories that go by one cluster ID. Nothing in etcd tells them apart: not the ID, not health, not
// an alarm.
var ErrTwoLineages = errors.New("two lineages under one cluster ID")

// Lineage is what identifies the history that a member holds: the cluster ID, how far it goes, and the hash of all of it.
type Lineage struct {
	Member    string             `json:"member"`
	Cluster   identity.ClusterID `json:"cluster"`
	Revision  int64              `json:"revision"`
	HashKV    uint32             `json:"hashKV"` // at Revision
	Compacted int64              `json:"compacted"`
}

// askLineageWithin bounds the questions to one member.
const askLineageWithin = 5 * time.Second

// LineageOf asks the member for its lineage.
func LineageOf(ctx context.Context, m *harness.Member) (Lineage, error) {
	ctx, cancel := context.WithTimeout(ctx, askLineageWithin)
	defer cancel()
	probe, err := m.Probe(ctx)
	if err != nil {
		return Lineage{}, err
	}
	defer probe.Close()
	read, err := probe.Read(ctx, harness.Serializable)
	if err != nil {
		return Lineage{}, fmt.Errorf("read lineage of %s: %w", m.Name(), err)
	}
	return lineageAt(ctx, probe, Lineage{Member: m.Name(), Cluster: read.Cluster, Revision: read.Revision})
}

func lineageAt(ctx context.Context, probe *harness.Probe, l Lineage) (Lineage, error) {
	var err error
	if l.HashKV, l.Compacted, err = probe.HashKV(ctx, l.Revision); err != nil {
		return l, fmt.Errorf("read lineage of %s: %w", l.Member, err)
	}
	return l, nil
}

// Continues tells whether the member holds the history that was seen before, or one that grew out of it. It returns an error
// wrapping ErrTwoLineages if, under the same cluster ID, its history is shorter or has another hash where the other one ended.
// A compaction in between makes the hashes incomparable, which is an error too, but not that one.
func (l Lineage) Continues(ctx context.Context, m *harness.Member) error {
	ctx, cancel := context.WithTimeout(ctx, askLineageWithin)
	defer cancel()
	probe, err := m.Probe(ctx)
	if err != nil {
		return err
	}
	defer probe.Close()
	read, err := probe.Read(ctx, harness.Serializable)
	switch {
	case err != nil:
		return fmt.Errorf("read lineage of %s: %w", m.Name(), err)
	case read.Cluster != l.Cluster:
		return fmt.Errorf("compare lineages: %s is of cluster %s, %s was of %s", m.Name(), read.Cluster, l.Member, l.Cluster)
	case read.Revision < l.Revision:
		return fmt.Errorf("compare lineages: %w %s: %s is at revision %d, %s was at %d before",
			ErrTwoLineages, l.Cluster, m.Name(), read.Revision, l.Member, l.Revision)
	}
	now, err := lineageAt(ctx, probe, Lineage{Member: m.Name(), Cluster: read.Cluster, Revision: l.Revision})
	switch {
	case err != nil:
		return err
	case now.Compacted != l.Compacted:
		return fmt.Errorf("compare lineages: %s is compacted at %d, %s was at %d, so their hashes cannot be compared",
			m.Name(), now.Compacted, l.Member, l.Compacted)
	case now.HashKV != l.HashKV:
		return fmt.Errorf("compare lineages: %w %s: at revision %d %s has HashKV %d, %s had %d",
			ErrTwoLineages, l.Cluster, l.Revision, m.Name(), now.HashKV, l.Member, l.HashKV)
	}
	return nil
}
