package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
)

// Outage is a disaster in a drill: what the fault reports, and the cluster that it hit.
type Outage struct {
	*faults.Outage
	cluster *harness.Cluster
}

// Strike injects the fault, with victims that the seed chooses, and returns when its effect was observed and the quorum was
// proved lost, or proved kept. When a wipe hits everybody, one data directory is set aside before, for the fence.
func (d *Drill) Strike(ctx context.Context, cluster *harness.Cluster, fault faults.Fault) (*Outage, error) {
	scene := faults.Scene{Cluster: cluster, Pick: d.spec.stream(streamVictims)}
	var logged error
	scene.Signalled = func(at time.Time, victims []string) {
		logged = d.events.emitAt(at, EventSignalled, "%s %s", fault.Name(), strings.Join(victims, " "))
	}
	if hit, err := fault.Target().Size(cluster.Size()); err == nil && hit == cluster.Size() && fault.Name() == faults.NameWipe {
		scene.BeforeErase = d.keepAside
	}
	outage, err := fault.Inject(ctx, scene)
	if err := errors.Join(err, logged); err != nil {
		return nil, err
	}
	if err := d.events.emitAt(outage.EffectAt, EventStruck, "%s", strings.Join(outage.Victims, " ")); err != nil {
		return nil, err
	}
	for _, load := range d.loads {
		if err := load.sync(); err != nil {
			return nil, err
		}
	}
	text := fmt.Sprintf("quorum lost, proved for %s", outage.Proof.Observed().Round(time.Millisecond))
	if len(outage.Survivors) == 0 {
		text = "quorum lost, nobody answers"
	}
	if !outage.LostQuorum() {
		text = "quorum kept: " + outage.Proof.Reason
	}
	return &Outage{Outage: outage, cluster: cluster}, d.events.emit(EventObserved, "%s", text)
}

// Heal undoes the outage where that is possible and returns when every member answers again.
func (d *Drill) Heal(ctx context.Context, outage *Outage) error {
	if err := outage.Heal(ctx); err != nil {
		return err
	}
	return d.events.emit(EventHealed, "")
}

// keepAside copies the first victim's directory to a disk of its own.
func (d *Drill) keepAside(ctx context.Context, m *harness.Member) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.aside != nil {
		return nil
	}
	if err := d.events.emit(EventPreparingFence, "directory of %s", m.Name()); err != nil {
		return err
	}
	disk, err := d.site.NewDisk(ctx, m.Name()+"-aside")
	if err != nil {
		return fmt.Errorf("set directory of %s aside: %w", m.Name(), err)
	}
	if err := m.Disk().CopyTo(ctx, disk); err != nil {
		return fmt.Errorf("set directory of %s aside: %w", m.Name(), err)
	}
	d.aside = &setAside{member: m, disk: disk}
	return nil
}
