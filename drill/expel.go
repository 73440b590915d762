package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// removedWithin bounds how long a removed member may go on before its peers have told it.
const removedWithin = 15 * time.Second

// expel starts an old member that was removed on its old directory, beside the cluster that goes on under the same ID, and
// watches: its peers must tell it, upon which it ends by itself (server/etcdserver/api/rafthttp/http.go answers 410 Gone to a
// member on its removed list). Nil, without an error, if no old directory is left.
func (d *Drill) expel(ctx context.Context, outage *Outage, reborn *Reborn) (seen *verify.Fence, err error) {
	old, disk := d.removedMember(outage, reborn)
	if old == nil {
		return nil, nil
	}
	if err := d.events.emit(EventFencing, "removed %s", old.Name()); err != nil {
		return nil, err
	}
	before := lookAtAll(ctx, reborn)
	returned, err := old.Return(ctx, d.site, disk)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	waiting, cancel := context.WithTimeout(ctx, removedWithin)
	defer cancel()
	_, failure := returned.Wait(waiting)
	seen = &verify.Fence{
		OldMember: old.Name(), Removed: true, SetAside: disk != old.Disk(), Observed: time.Since(start),
		OldEnded: failure == nil,
	}
	if failure != nil {
		err = errors.Join(ctx.Err(), d.dismiss(ctx, returned))
	} else {
		err = d.saveLog(ctx, returned)
	}
	if err != nil {
		return nil, err
	}
	if seen.OldSaid, err = returned.Said(ctx, harness.RemovedNotice); err != nil {
		return nil, err
	}
	after := lookAtAll(ctx, reborn)
	for i, m := range reborn.Members() {
		answer := verify.FenceAnswer{Member: m.Name(), Unchanged: before[i] == after[i] && after[i].failure == ""}
		if !answer.Unchanged {
			answer.Change = fmt.Sprintf("%s before, %s after", before[i], after[i])
		}
		seen.Answers = append(seen.Answers, answer)
	}
	return seen, d.events.emit(EventFenced, "removed %s, %s", old.Name(), seen.Observed.Round(time.Millisecond))
}

// removedMember is a victim that is no member any more and has its directory still.
func (d *Drill) removedMember(outage *Outage, reborn *Reborn) (*harness.Member, harness.Disk) {
	if outage.Destroyed() {
		if d.aside != nil {
			return d.aside.member, d.aside.disk
		}
		return nil, nil
	}
	for _, name := range slices.Concat(outage.Victims, outage.Survivors) {
		m, err := outage.cluster.Member(name)
		if err != nil {
			continue
		}
		now, err := reborn.Member(name)
		if err == nil && now.ID() != m.ID() {
			return m, m.Disk()
		}
	}
	return nil, nil
}
