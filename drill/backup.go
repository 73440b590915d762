package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// saveWithin bounds a snapshot save: etcd itself sets no limit, and a frozen member never answers (etcd issue 10298).
const saveWithin = 10 * time.Minute

// Backup saves a snapshot from a member of the whole cluster, which the seed chooses, and checks it.
func (d *Drill) Backup(ctx context.Context, cluster *harness.Cluster) (recovery.Source, error) {
	members := cluster.Members()
	return d.save(ctx, members[d.spec.stream(streamBackup).IntN(len(members))])
}

// Rescue saves a snapshot from a survivor of the outage, without a quorum, and checks it. Of several survivors it takes the
// one with the highest revision: the others only hold less.
func (d *Drill) Rescue(ctx context.Context, outage *Outage) (recovery.Source, error) {
	best, err := d.BestSurvivor(ctx, outage)
	if err != nil {
		return recovery.Source{}, fmt.Errorf("save snapshot: %w", err)
	}
	return d.save(ctx, best)
}

// BackupFrom saves a snapshot from this member, which may be a learner, and checks it.
func (d *Drill) BackupFrom(ctx context.Context, m *harness.Member) (recovery.Source, error) {
	return d.save(ctx, m)
}

func (d *Drill) save(ctx context.Context, m *harness.Member) (recovery.Source, error) {
	if err := d.events.emit(EventSaving, "snapshot from %s", m.Name()); err != nil {
		return recovery.Source{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, saveWithin)
	defer cancel()
	client, err := m.Dial(ctx)
	if err != nil {
		return recovery.Source{}, err
	}
	defer client.Close() //nolint:errcheck // nothing is lost by closing
	if err := d.makeBackupFolder(); err != nil {
		return recovery.Source{}, err
	}
	if _, err := fetch.Save(ctx, client, d.folder.backup()); err != nil {
		return recovery.Source{}, err
	}
	return d.check(ctx, recovery.SavedSnapshot, m.Name())
}

// CopyDB copies the database of a member that is down and checks the copy. A survivor that was stopped comes first, because
// it flushed all that it had applied. Among the dead the one that died first is taken: those that lived on without a quorum
// had the time to flush, and a drill must hold for the oldest copy that a disaster leaves.
func (d *Drill) CopyDB(ctx context.Context, down *Down, outage *Outage) (recovery.Source, error) {
	m, err := copyFrom(ctx, down, outage)
	if err != nil {
		return recovery.Source{}, err
	}
	if err := d.events.emit(EventSaving, "database of %s", m.Name()); err != nil {
		return recovery.Source{}, err
	}
	if err := d.makeBackupFolder(); err != nil {
		return recovery.Source{}, err
	}
	if _, err := fetch.Copy(ctx, m.Disk(), d.folder.backup()); err != nil {
		return recovery.Source{}, err
	}
	return d.check(ctx, recovery.DBCopy, m.Name())
}

func copyFrom(ctx context.Context, down *Down, outage *Outage) (*harness.Member, error) {
	if n := len(outage.Survivors); n > 0 {
		return down.Cluster.Member(outage.Survivors[n-1])
	}
	if outage.Destroyed() {
		return nil, errors.New("copy database: the outage destroyed every data directory")
	}
	var first *harness.Member
	var death time.Time
	for _, name := range outage.Victims {
		m, err := down.Cluster.Member(name)
		if err != nil {
			return nil, err
		}
		exit, err := m.Wait(ctx)
		if err != nil {
			return nil, fmt.Errorf("copy database: %w", err)
		}
		if first == nil || exit.At.Before(death) {
			first, death = m, exit.At
		}
	}
	return first, nil
}

func (d *Drill) check(ctx context.Context, kind recovery.Kind, member string) (recovery.Source, error) {
	if err := d.events.emit(EventFetched, ""); err != nil {
		return recovery.Source{}, err
	}
	source, err := offline.Check(ctx, d.opts.Worker, kind, d.folder.backup())
	if err != nil {
		return recovery.Source{}, err
	}
	source.Member = member
	if err := writeJSON(d.folder.source(), source); err != nil {
		return recovery.Source{}, err
	}
	return source, d.events.emit(EventChecked, "%s from %s, restore point %d", kind, member, source.RestorePoint)
}

func (d *Drill) makeBackupFolder() error {
	if err := os.MkdirAll(filepath.Dir(d.folder.backup()), 0o700); err != nil {
		return fmt.Errorf("make folder for the source: %w", err)
	}
	return nil
}
