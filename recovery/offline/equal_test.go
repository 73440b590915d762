package offline

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

// TestEveryMemberIsWhatEtcdutlMakes holds what Restore makes against what a person gets who types the plan's own commands, with
// the released etcdutl: the log of every member byte by byte, the raft snapshot but for
// what etcdutl makes otherwise every time, the database bucket by bucket. It runs the
// default version, or the one of ETCD_DRILL_OTHER_VERSION.
func TestEveryMemberIsWhatEtcdutlMakes(t *testing.T) {
	ctx := recoverytest.Context(t)
	version := cmp.Or(os.Getenv("ETCD_DRILL_OTHER_VERSION"), release.Default)
	program := etcdutl(t, ctx, version)
	b := recoverytest.MakeBackups(t, ctx, 300)
	apart := recovery.WithSeparateWAL(func(member string) string { return filepath.Join(member+".etcd", harness.WALName) })
	for name, c := range map[string]struct {
		path string
		kind recovery.Kind
		size int
		opts []recovery.PlanOption
		how  []RestoreOption
		seed bool
	}{
		"snapshot":   {path: b.Snapshot, kind: recovery.SavedSnapshot, size: 3},
		"db copy":    {path: b.DB, kind: recovery.DBCopy, size: 3},
		"to 5":       {path: b.Snapshot, kind: recovery.SavedSnapshot, size: 5},
		"to 1":       {path: b.Snapshot, kind: recovery.SavedSnapshot, size: 1},
		"one by one": {path: b.Snapshot, kind: recovery.SavedSnapshot, size: 3, how: []RestoreOption{OneByOne()}},
		"bumped": {path: b.Snapshot, kind: recovery.SavedSnapshot, size: 3,
			opts: []recovery.PlanOption{recovery.WithBump(1000), recovery.WithMarkCompacted()}},
		"log apart": {path: b.DB, kind: recovery.DBCopy, size: 2, opts: []recovery.PlanOption{apart}},
		"seed":      {path: b.Snapshot, kind: recovery.SavedSnapshot, size: 3, seed: true},
		"snapshot, not hashed": {path: b.Snapshot, kind: recovery.SavedSnapshot, size: 2,
			opts: []recovery.PlanOption{recovery.WithoutHashCheck()}},
	} {
		t.Run(name, func(t *testing.T) {
			for tool, path := range map[string]string{"library": "", "program": program.Etcdutl} {
				if tool == "library" && !recovery.SameMinor(version, recovery.LinkedVersion()) {
					continue
				}
				worker := testWorker(t, "serve")
				worker.Etcdutl = path
				source, err := Check(ctx, worker, c.kind, c.path)
				if err != nil {
					t.Fatal(err)
				}
				newPlan := recovery.NewPlan
				if c.seed {
					newPlan = recovery.NewSeedPlan
				}
				plan, err := newPlan(source, recoverytest.Layout(t, c.size), identity.FreshToken(), c.opts...)
				if err != nil {
					t.Fatal(err)
				}
				restored, err := Restore(ctx, worker, plan, t.TempDir(), c.how...)
				if err != nil {
					t.Fatal(err)
				}
				byHand := followByHand(t, ctx, program.Etcdutl, plan)
				for member, dir := range restored.Dirs() {
					sameMember(t, tool+", member "+member, dir, filepath.Join(byHand, member+".etcd"))
				}
			}
		})
	}
}

// followByHand types the lines of the plan that restore, in a folder of its own, and returns that.
func followByHand(t *testing.T, ctx context.Context, program string, plan recovery.Plan) string {
	t.Helper()
	folder, restores := t.TempDir(), 0
	for _, line := range plan.Commands() {
		if !strings.HasPrefix(line, "etcdutl snapshot restore ") {
			continue
		}
		line, _, _ = strings.Cut(line, " # ")
		cmd := exec.CommandContext(ctx, "sh", "-c", strings.Replace(line, "etcdutl", program, 1))
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
		restores++
	}
	if restores != len(plan.Members) {
		t.Fatalf("the plan restores %d members with %d lines: %q", len(plan.Members), restores, plan.Commands())
	}
	return folder
}

// sameMember compares two data directories.
func sameMember(t *testing.T, name, got, want string) {
	t.Helper()
	theirs := filesIn(t, want)
	if ours := filesIn(t, got); !maps.Equal(ours, theirs) {
		t.Errorf("%s has %v, etcdutl makes %v", name, ours, theirs)
		return
	}
	for path, mode := range theirs {
		ours, theirs := filepath.Join(got, path), filepath.Join(want, path)
		switch {
		case path == filepath.FromSlash(blob.DBFile):
			sameDatabase(t, name, ours, theirs)
		case strings.HasSuffix(path, ".snap"):
			sameRaftSnapshot(t, name, ours, theirs)
		case mode.IsRegular() && !bytes.Equal(recoverytest.ReadAll(t, ours), recoverytest.ReadAll(t, theirs)):
			t.Errorf("%s: %s is not what etcdutl makes", name, path)
		}
	}
}

// orderOfMembers is a trace of the order in which etcdutl adds the members to the tree in the raft snapshot, which is another one
// every time; so is the order of events behind the tree, which nobody reads.
var orderOfMembers = regexp.MustCompile(`"(CreatedIndex|ModifiedIndex)":\d+`)

func sameRaftSnapshot(t *testing.T, name, got, want string) {
	t.Helper()
	ours, ourTree := raftSnapshot(t, got)
	theirs, theirTree := raftSnapshot(t, want)
	if ourTree != theirTree || !strings.Contains(theirTree, "peerURLs") {
		t.Errorf("%s: the raft snapshot holds %s, etcdutl makes %s", name, ourTree, theirTree)
	}
	if !proto.Equal(ours, theirs) || len(theirs.ConfState.GetVoters()) == 0 {
		t.Errorf("%s: the raft snapshot is of %v, etcdutl makes %v", name, ours, theirs)
	}
}

func raftSnapshot(t *testing.T, path string) (metadata *raftpb.SnapshotMetadata, tree string) {
	t.Helper()
	snapshot, err := snap.Read(zap.NewNop(), path)
	if err != nil {
		t.Fatal(err)
	}
	var content struct{ Root json.RawMessage }
	if err := json.Unmarshal(snapshot.Data, &content); err != nil {
		t.Fatal(err)
	}
	return snapshot.Metadata, string(orderOfMembers.ReplaceAll(content.Root, []byte("0")))
}

// filesIn names everything in a directory, with its mode.
func filesIn(t *testing.T, dir string) map[string]fs.FileMode {
	t.Helper()
	all := map[string]fs.FileMode{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		name, _ := filepath.Rel(dir, path)
		all[name] = info.Mode()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sameDatabase(t *testing.T, name, got, want string) {
	t.Helper()
	recoverytest.AssertSound(t, got)
	if err := blob.CheckPages(t.Context(), got); err != nil {
		t.Error(err)
	}
	ours, theirs := recoverytest.BucketsOf(t, got), recoverytest.BucketsOf(t, want)
	if !slices.Equal(slices.Sorted(maps.Keys(ours)), slices.Sorted(maps.Keys(theirs))) {
		t.Errorf("%s has buckets %v, etcdutl makes %v", name, slices.Sorted(maps.Keys(ours)), slices.Sorted(maps.Keys(theirs)))
	}
	for bucket, content := range theirs {
		if !maps.Equal(ours[bucket], content) {
			t.Errorf("%s: bucket %s holds %d entries that etcdutl does not make, of %d", name, bucket, len(ours[bucket]), len(content))
		}
	}
	if len(theirs["key"]) == 0 || len(theirs["members"]) == 0 {
		t.Errorf("%s: nothing was compared: %d records, %d members", name, len(theirs["key"]), len(theirs["members"]))
	}
}
