package offline

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
	"github.com/etcd-drill/etcd-drill/recovery/spoil"
)

// outcome is what must come of restoring a damaged source.
type outcome struct {
	// checked is what Check says, nil if it lets the source through, which then must be restored. It is a refusal wherever
	// etcdutl itself would refuse, and also where it would die or let damage through that can be seen.
	checked error
	// forced is what Restore says that is handed the source under a manifest of somebody's own making, without a Check.
	forced error
	// wrongData is set if what is restored is not what was written.
	wrongData bool
}

// hashOn and hashOff are etcd's own table of what becomes of a damaged snapshot, bettered where we can see more. Facts as of
// etcdutl 3.5.35, 3.6.16 and 3.7.3, which agree.
func hashOn() map[string]outcome {
	table := map[string]outcome{}
	for _, d := range damages() { // etcdutl refuses the same, after it has copied the file and leaves it there
		table[d.variant] = outcome{checked: d.snapshot, forced: d.snapshot}
	}
	return table
}

func hashOff() map[string]outcome {
	table := map[string]outcome{}
	for _, d := range damages() {
		table[d.variant] = outcome{checked: d.skipped, forced: d.skipped}
	}
	// Of who comes without a Check the pages are walked all the same. etcdutl, which does that when it opens the file, dies of these.
	for _, variant := range []string{spoil.PageZeroed, spoil.PageMisleads, spoil.KeyOffTheFile, spoil.KeyOutOfOrder} {
		table[variant] = outcome{checked: recovery.ErrBadStructure, forced: recovery.ErrBadStructure}
	}
	// Nothing but a manifest of what was written tells, and so says the warning of the source.
	table[spoil.ValueByte] = outcome{wrongData: true}
	return table
}

// TestTheDamageTable restores every damaged snapshot, with its hash looked at and not, by the linked library and by the program
// of a version: the default's, or that of ETCD_DRILL_OTHER_VERSION.
func TestTheDamageTable(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 300)
	program := etcdutl(t, ctx, cmp.Or(os.Getenv("ETCD_DRILL_OTHER_VERSION"), release.Default))
	for name, tool := range map[string]string{"library": "", "version": program.Etcdutl} {
		t.Run(name, func(t *testing.T) {
			for way, table := range map[string]map[string]outcome{"hash on": hashOn(), "hash off": hashOff()} {
				for _, variant := range spoil.Variants() {
					t.Run(way+"/"+variant.Name, func(t *testing.T) {
						worker := testWorker(t, "serve")
						worker.Etcdutl = tool
						c := damageCase{good: b, worker: worker, skip: way == "hash off", path: recoverytest.Spoiled(t, b.Snapshot, variant),
							want: table[variant.Name]}
						c.run(t, ctx)
					})
				}
			}
		})
	}
}

type damageCase struct {
	good   recoverytest.Backups
	worker Worker
	skip   bool
	path   string // of the damaged source
	want   outcome
}

func (c damageCase) run(t *testing.T, ctx context.Context) {
	before := recoverytest.DigestOf(t, c.path)
	var opts []CheckOption
	if c.skip {
		opts = append(opts, SkipHash())
	}
	source, err := Check(ctx, c.worker, recovery.SavedSnapshot, c.path, opts...)
	if !errors.Is(err, c.want.checked) || (err == nil) != (c.want.checked == nil) || recovery.ProvedBad(err) != (c.want.checked != nil) {
		t.Errorf("checked: got %v, want %v", err, c.want.checked)
	}
	scratch := t.TempDir()
	if err == nil {
		c.restores(t, ctx, source, scratch)
		if same := c.hashOf(t, ctx, source) == c.good.Live.Hash.Hash; same == c.want.wrongData {
			t.Errorf("HashKV is that of the old cluster: %t", same)
		}
	} else {
		c.forces(t, ctx, before, scratch)
	}
	// What failed must not stand in the way of what is good, in the very same place.
	if source, err = Check(ctx, c.worker, recovery.SavedSnapshot, c.good.Snapshot); err == nil {
		c.restores(t, ctx, source, scratch)
	} else {
		t.Error(err)
	}
	if recoverytest.DigestOf(t, c.path) != before {
		t.Error("the source was changed")
	}
	recoverytest.AssertEmpty(t, c.worker.Scratch)
}

// restores wants the source restored as it was checked, and nothing else left.
func (c damageCase) restores(t *testing.T, ctx context.Context, source recovery.Source, scratch string) {
	t.Helper()
	plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 1), identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(ctx, c.worker, plan, scratch)
	if err != nil {
		t.Error("restore: ", err)
		return
	}
	for _, dir := range restored.Dirs() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
	recoverytest.AssertEmpty(t, scratch)
}

// forces restores the source under a forged manifest. Whatever comes of it, there is a whole directory or none.
func (c damageCase) forces(t *testing.T, ctx context.Context, digest, scratch string) {
	t.Helper()
	source := recovery.Source{
		Kind: recovery.SavedSnapshot, Path: c.path, SHA256: digest, HashSkipped: c.skip,
		RestorePoint: c.good.Live.Revision, LastRecord: c.good.Live.Revision, Compacted: c.good.Live.Compacted,
	}
	plan, err := recovery.NewPlan(source, recoverytest.Layout(t, 1), identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	_, err = Restore(ctx, c.worker, plan, scratch)
	if !errors.Is(err, c.want.forced) || (err == nil) != (c.want.forced == nil) {
		t.Errorf("forced: got %v, want %v", err, c.want.forced)
	}
	var death *recovery.WorkerError
	if errors.As(err, &death) && !death.BlamesFile() {
		t.Errorf("%v does not blame the file", err)
	}
	recoverytest.AssertEmpty(t, scratch)
}

// hashOf computes the hash that a server started on the source would give.
func (c damageCase) hashOf(t *testing.T, ctx context.Context, source recovery.Source) uint32 {
	t.Helper()
	dir := t.TempDir()
	contents, err := Extract(ctx, c.worker, source, Extraction{
		DigestKey: recoverytest.DigestKey(), History: filepath.Join(dir, "h"), Keyspace: filepath.Join(dir, "k"),
	})
	if err != nil {
		t.Error(err)
	}
	return contents.HashKV
}
