package drill

import (
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/internal/load"
)

// BootOption changes how Boot and Restore bring the new cluster up.
type BootOption func(*bootOptions)

type bootOptions struct {
	args        []string
	beforeWrite func(context.Context, *Reborn) error
}

// WithNewArgs gives the members of the new cluster further etcd flags; of a flag that is given twice etcd takes the last.
func WithNewArgs(args ...string) BootOption {
	return func(o *bootOptions) { o.args = args }
}

// BeforeFirstWrite has do called when the new cluster answers a linearizable read and nothing was written to it yet: the
// place to look at what the restore left, and to disarm alarms.
func BeforeFirstWrite(do func(context.Context, *Reborn) error) BootOption {
	return func(o *bootOptions) { o.beforeWrite = do }
}

// Disarm ends all alarms of the new cluster, as `etcdctl alarm disarm` does. They are remembered as kept by the restore, so
// Disarm belongs before anything that could raise one.
func (d *Drill) Disarm(ctx context.Context, reborn *Reborn) error {
	probe, err := reborn.Members()[0].Probe(ctx)
	if err != nil {
		return fmt.Errorf("disarm alarms: %w", err)
	}
	defer probe.Close()
	raised, err := probe.Client().AlarmList(ctx)
	if err != nil {
		return fmt.Errorf("disarm alarms: %w", err)
	}
	for _, alarm := range raised.Alarms {
		if _, err := probe.Client().AlarmDisarm(ctx, (*clientv3.AlarmMember)(alarm)); err != nil {
			return fmt.Errorf("disarm alarms: %w", err)
		}
	}
	reborn.Disarmed = load.Alarms(raised.Alarms)
	var names []string
	for _, alarm := range reborn.Disarmed {
		names = append(names, fmt.Sprintf("%s of %s", alarm.Type, alarm.Member))
	}
	return d.events.emit(EventDisarmed, "%s", strings.Join(names, ", "))
}
