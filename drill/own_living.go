package drill

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
	"github.com/etcd-drill/etcd-drill/recovery/intake"
)

// ownLiving is what is known of the living cluster that the backup is saved from.
type ownLiving struct {
	members []fetch.Vantage
	from    fetch.Vantage
	why     string
}

// fetchLiving saves a snapshot from the member of the living cluster that is best to ask. It changes nothing there.
func (d *Drill) fetchLiving(ctx context.Context) error {
	cluster := d.spec.Own.Living
	if err := d.events.emit(EventSaving, "%s", d.spec.Own.name()); err != nil {
		return err
	}
	members, err := cluster.Survey(ctx)
	if err != nil {
		return err
	}
	members = oncePerMember(members)
	from, why, err := fetch.Choose(members)
	if err != nil {
		return err
	}
	d.own.living = &ownLiving{members: members, from: from, why: why}
	if err := os.MkdirAll(d.given(), 0o700); err != nil {
		return fmt.Errorf("make folder for the snapshot: %w", err)
	}
	opts := []fetch.Option{}
	if d.opts.Watch != nil {
		so := &unpacked{}
		opts = append(opts, fetch.WithProgress(so.bytes.Store))
		d.opts.Watch(so.saved)
		defer d.opts.Watch(nil)
	}
	// Save gives up a server that sends nothing. How long all of it takes is up to the user, who may have bounded its rate.
	path := filepath.Join(d.given(), "backup.db")
	if _, err := cluster.Save(ctx, from, path, opts...); err != nil {
		return err
	}
	d.own.received = intake.Received{
		Path: path, Kind: recovery.SavedSnapshot, Given: from.Endpoint, Form: recovery.FormSnapshot, Modified: time.Now(),
	}
	return nil
}

// oncePerMember leaves out further endpoints of a member that answered at one: what it says twice is not said by two.
func oncePerMember(all []fetch.Vantage) []fetch.Vantage {
	seen := map[identity.MemberID]bool{}
	var once []fetch.Vantage
	for _, v := range all {
		if v.Fault == "" && seen[v.Member] {
			continue
		}
		seen[v.Member] = seen[v.Member] || v.Fault == ""
		once = append(once, v)
	}
	return once
}

// saved says how much of a snapshot came so far.
func (u *unpacked) saved() string { return fmt.Sprintf("%d MiB saved", u.bytes.Load()>>20) }

// hashesOfLiving asks the members of the living cluster whether they hold what the snapshot holds; nil if there is no such cluster.
func (d *Drill) hashesOfLiving(ctx context.Context) []verify.Said {
	if d.own.living == nil {
		return nil
	}
	said := []verify.Said{}
	for _, s := range d.spec.Own.Living.Hashes(ctx, d.own.living.members, d.own.source.RestorePoint) {
		name := s.Endpoint
		for _, v := range d.own.living.members {
			if v.Endpoint == s.Endpoint {
				name = cmp.Or(v.Name, v.Endpoint)
			}
		}
		said = append(said, verify.Said{Member: name, HashKV: s.HashKV, From: s.From, Fault: s.Fault})
	}
	return said
}

// taken tells from whom the snapshot of a living cluster was saved; nil if there is no such cluster.
func (d *Drill) taken() *report.Taken {
	l := d.own.living
	if l == nil {
		return nil
	}
	return &report.Taken{
		Endpoint: l.from.Endpoint, Member: l.from.Name, MemberID: l.from.Member, Cluster: l.from.Cluster, Version: l.from.Version,
		Why: l.why,
	}
}

// behindOthers tells how many revisions some other member of the living cluster had that the snapshot lacks.
func (d *Drill) behindOthers() int64 {
	var most int64
	if d.own.living != nil {
		for _, v := range d.own.living.members {
			most = max(most, v.Revision)
		}
	}
	return max(most-d.own.source.RestorePoint, 0)
}
