package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
	"github.com/etcd-drill/etcd-drill/recovery/intake"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// Own is a backup that somebody has. It is drilled by itself: there is no cluster to be lost, and no ledger.
type Own struct {
	// File names the backup: a file, a directory or a pipe, in any form that intake.Receive takes. Input is read in its place if it
	// is not nil; File then only names it.
	File  string    `json:"file,omitempty"`
	Input io.Reader `json:"-"`
	// Living is a cluster that a snapshot is saved from, in place of a file; nil for none. It is only read.
	Living *fetch.Living `json:"-"`
	// MaxBytes bounds what is unpacked; intake.DefaultMaxBytes if 0.
	MaxBytes int64 `json:"maxBytes,omitempty"`
	// AnyVersion has the members run the etcd that the runtime was given, whatever wrote the backup, if no version is named.
	AnyVersion bool `json:"anyVersion,omitempty"`
	// Expect is the path of the manifest that was written when the backup was made; nothing is compared if it is empty.
	Expect string `json:"expect,omitempty"`
	// Canary is a key under which somebody writes the time again and again; its age is that of the backup. None if empty.
	Canary string `json:"canary,omitempty"`
	// OriginalSize restores as many members as the backup knows, in place of Spec.Members.
	OriginalSize bool `json:"originalSize,omitempty"`
	// Read says of how many members the keys are read.
	Read Reading `json:"read,omitempty"`
	// Redact hides the names of keys in everything that the drill writes and says. They can still be told apart.
	Redact bool `json:"redact,omitempty"`
}

// name is what a person calls the backup.
func (o Own) name() string {
	if o.Living != nil {
		return "snapshot of " + strings.Join(o.Living.Endpoints, ", ")
	}
	if o.Input != nil && o.File == "-" {
		return "standard input"
	}
	return o.File
}

// title says what is drilled.
func (o Own) title(s Spec) string {
	name := "backup " + filepath.Base(o.name())
	switch {
	case o.Living != nil:
		name = fmt.Sprintf("snapshot of a living cluster, %d endpoints", len(o.Living.Endpoints))
		if len(o.Living.Endpoints) == 1 {
			name = "snapshot of a living cluster, 1 endpoint"
		}
	case o.Input != nil:
		name = "backup from " + o.name()
	}
	members := "1 member"
	if s.Members > 1 {
		members = fmt.Sprintf("%d members", s.Members)
	}
	if o.OriginalSize {
		members = "many members as it had"
	}
	text := name + ", restored as " + members
	if version := cmp.Or(s.RestoreVersion, s.EtcdVersion); version != "" {
		text += " on etcd " + version
	}
	if s.BumpRevision > 0 {
		text += fmt.Sprintf(", revision bumped by %d", s.BumpRevision)
	}
	return text + s.manned()
}

// check refuses what cannot go with a backup of somebody's own.
func (o Own) check(s Spec) error {
	switch {
	case s.Members < 1 || s.Members > harness.MaxMembers:
		return fmt.Errorf("%d members: a drill takes 1 to %d", s.Members, harness.MaxMembers)
	case (o.File == "") == (o.Living == nil):
		return errors.New("name one backup: a file, or the endpoints of a living cluster")
	case o.Living != nil && o.Expect != "":
		return errors.New("a snapshot that is only now saved is none that a manifest could know; leave --expect away")
	case o.MaxBytes < 0:
		return fmt.Errorf("a backup of %d bytes at most: give a number above 0", o.MaxBytes)
	case s.way() != recovery.RouteRestore:
		return fmt.Errorf("a backup is restored on every member, so the route %s has no place here; leave --route away", s.way())
	case s.RestoreVersion != "" && s.EtcdVersion != "" && s.RestoreVersion != s.EtcdVersion:
		return errors.New("a backup is restored on one version of etcd; give --restore-version alone")
	}
	return o.Read.check()
}

// ownDrill is what is known of the backup in the course of its drill.
type ownDrill struct {
	began    time.Time
	manifest *intake.Manifest // what the backup must be; nil if nobody said
	received intake.Received
	source   recovery.Source
	contents recovery.Contents
	living   *ownLiving // nil unless the backup is saved from a living cluster
}

// rehearseOwn restores the backup into a new cluster and proves that it came back.
func (d *Drill) rehearseOwn(ctx context.Context) (r rehearsal, err error) {
	p := &r.proof
	d.own = &ownDrill{began: time.Now()}
	switch err := d.receive(ctx); {
	case recovery.ProvedBad(err):
		r.verdict, err = d.judgeBadSource(ctx, err)
		return r, err
	case errors.Is(err, intake.ErrOtherBackup):
		r.verdict, err = d.refuse(verify.OtherBackup, err)
		return r, err
	case err != nil:
		return r, err
	}
	p.Source = d.own.source
	if err := d.settleOwn(ctx); err != nil {
		return r, err
	}
	if p.Plan, err = d.planOwn(); err != nil {
		return r, err
	}
	d.how = append(d.how, offline.FromCopy(d.checked()))
	if p.Reborn, err = d.Restore(ctx, p.Plan, d.bootOwn()...); err != nil {
		return r, fmt.Errorf("recover: %w", err)
	}
	if err := d.watchOwn(ctx, p); err != nil {
		return r, err
	}
	r.verdict, err = d.verifyOwn(ctx, *p)
	return r, err
}

const (
	// seenBeyond is how many revisions beyond the backup its clients are taken to have seen. Nobody knows; they have seen some.
	seenBeyond = 100
	// informerKeys is how many keys an informer of the drill keeps at most.
	informerKeys = 100_000
)

// watchOwn tries what clients that come from the lost cluster are told by one whose revision was bumped: they must be cancelled,
// and an informer must then hold what the cluster holds. Without a bump they would wait without a word, which the advice says.
func (d *Drill) watchOwn(ctx context.Context, p *Proof) (err error) {
	last := min(p.Source.RestorePoint+seenBeyond, p.Plan.Revision()-2) // beyond that no bump is large enough
	if p.Plan.BumpRevision == 0 || last < p.Source.RestorePoint {
		return nil
	}
	if p.Watching, err = d.watchOn(ctx, p.Reborn.Cluster, last, p.Source.Keys <= informerKeys); err != nil {
		return err
	}
	return p.Watching.Prove(ctx, p.Reborn)
}

// receive takes the backup and checks it.
func (d *Drill) receive(ctx context.Context) error {
	own := *d.spec.Own
	if own.Expect != "" {
		manifest, err := intake.ReadManifest(own.Expect)
		if err != nil {
			return err
		}
		d.own.manifest = &manifest
	}
	// Copies for reading are made in the run's folder: the one of the backup is not ours to write to.
	d.opts.Worker.Scratch, d.opts.Worker.Mute = d.run.WorkDir(), own.Redact
	fetch := d.fetchFile
	if own.Living != nil {
		fetch = d.fetchLiving
	}
	if err := fetch(ctx); err != nil {
		return err
	}
	if err := d.events.emit(EventFetched, "%s", formOf(d.own.received)); err != nil {
		return err
	}
	return d.checkReceived(ctx)
}

// fetchFile takes the backup that is a file, a directory or a pipe.
func (d *Drill) fetchFile(ctx context.Context) (err error) {
	own := *d.spec.Own
	if err := d.events.emit(EventSaving, "backup %s", own.name()); err != nil {
		return err
	}
	offer := intake.Offer{Path: own.name(), Stream: own.Input, Dir: d.given(), MaxBytes: own.MaxBytes}
	if d.opts.Watch != nil {
		so := &unpacked{}
		offer.Progress = so.bytes.Store
		d.opts.Watch(so.text)
		defer d.opts.Watch(nil)
	}
	d.own.received, err = intake.Receive(ctx, d.opts.Worker, offer)
	return err
}

// given is where a backup of somebody's own is unpacked, or saved. It lies among what goes with the run, also when the run is
// killed and somebody else cleans up: the backup may hold anything.
func (d *Drill) given() string { return filepath.Join(d.run.WorkDir(), "given") }

// checked is where the copy is kept that the backup was checked on, until the members are restored from it.
func (d *Drill) checked() string { return filepath.Join(d.run.WorkDir(), "checked") }

// checkReceived reads the backup offline, and holds it against its manifest.
func (d *Drill) checkReceived(ctx context.Context) (err error) {
	own := *d.spec.Own
	if d.own.source, err = d.own.received.Check(ctx, d.opts.Worker, offline.KeepCopy(d.checked())); err != nil {
		return err
	}
	if m := d.own.manifest; m != nil {
		if differences := m.Differences(d.own.source, nil); len(differences) > 0 {
			return fmt.Errorf("hold %s against %s: %w: %s", own.name(), own.Expect, intake.ErrOtherBackup, strings.Join(differences, "; "))
		}
	}
	if err := os.MkdirAll(filepath.Dir(d.folder.source()), 0o700); err != nil {
		return fmt.Errorf("make folder for the source: %w", err)
	}
	if err := writeJSON(d.folder.source(), d.own.source); err != nil {
		return err
	}
	return d.events.emit(EventChecked, "%s, restore point %d", d.own.source.Kind, d.own.source.RestorePoint)
}

// formOf says in words what a backup turned out to be.
func formOf(r intake.Received) string {
	text := map[recovery.Form]string{
		recovery.FormSnapshot: "saved snapshot", recovery.FormDB: "db copy", recovery.FormDirectory: "data directory",
	}[r.Form]
	if len(r.Packing) > 0 {
		text += " in " + strings.Join(r.Packing, ", ")
	}
	return text
}

// settleOwn makes ready what depends on the backup: an etcd that starts on it, room for it, and certificates where it asks clients
// who they are.
func (d *Drill) settleOwn(ctx context.Context) error {
	if d.spec.Own.OriginalSize {
		n := len(d.own.source.MemberIDs)
		if n < 1 || n > harness.MaxMembers {
			return fmt.Errorf("the backup knows of %d members, and a drill takes 1 to %d; say how many with --members", n, harness.MaxMembers)
		}
		d.spec.Members = n
	}
	version := cmp.Or(d.spec.RestoreVersion, d.spec.EtcdVersion)
	if version == "" && !d.spec.Own.AnyVersion {
		release, err := d.own.source.Release()
		if err != nil {
			return err
		}
		version = release
	}
	d.spec.EtcdVersion, d.spec.RestoreVersion = version, version
	d.spec.Auth = d.own.source.AuthEnabled
	d.spec.Source = d.own.source.Kind
	if err := d.checkOwnRoom(ctx); err != nil {
		return err
	}
	d.opts.EtcdArgs = append(d.opts.EtcdArgs, quotaFlag(d.own.source))
	return d.settle(ctx)
}

// defaultQuota is etcd's own (server/storage/quota.go, DefaultQuotaBytes).
const defaultQuota = 2 << 30

// quotaFlag gives members twice the room that the source takes, because a restored cluster that raises an alarm at its first write
// is a surprise of its own kind; etcd's default where that is more.
func quotaFlag(source recovery.Source) string {
	return fmt.Sprintf("--quota-backend-bytes=%d", max(defaultQuota, 2*source.SizeBytes))
}

// planOwn plans the restore on members of which no name and no address is known to the source. The source's members are all that
// is known of the old cluster, and the plan must use none of their IDs.
func (d *Drill) planOwn() (recovery.Plan, error) {
	layout, err := harness.NewLayout(d.places(), d.spec.Members, "")
	if err != nil {
		return recovery.Plan{}, err
	}
	opts, err := restoreOptions(d.spec, d.places(), d.versions.restoring.Version)
	if err != nil {
		return recovery.Plan{}, err
	}
	opts = append(opts, recovery.WithSeats(layout.Seats...))
	return d.planned(recovery.NewPlan(d.own.source, harness.Layout{}, identity.FreshToken(), opts...))
}

// bootOwn disarms what alarms the source carries: the new cluster takes no write before.
func (d *Drill) bootOwn() []BootOption {
	if len(d.own.source.Alarms) == 0 {
		return nil
	}
	return []BootOption{BeforeFirstWrite(d.Disarm)}
}

// unpacked tells how much of a backup came so far. It is set and asked by different goroutines.
type unpacked struct{ bytes atomic.Int64 }

func (u *unpacked) text() string { return fmt.Sprintf("%d MiB unpacked", u.bytes.Load()>>20) }
