package scenarios_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/fetch"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
	"github.com/etcd-drill/etcd-drill/recovery/spoil"
)

// relic is what one small etcd left: both kinds of source, and what it showed last. Refusals need no more, so it is made once
// for all of them, by the first that asks.
type relic struct {
	snapshot, db string
	layout       harness.Layout // of the lost cluster of one
	revision     int64
	hash         uint32 // HashKV at the revision
}

// remains returns the relic. It must not be changed.
func remains(ctx SpecContext) relic {
	GinkgoHelper()
	if suite.relic == nil {
		made := leaveRelic(ctx)
		suite.relic = &made
	}
	return *suite.relic
}

func leaveRelic(ctx SpecContext) relic {
	GinkgoHelper()
	dir := filepath.Join(suite.Root, fmt.Sprintf("relic-%d", GinkgoParallelProcess()))
	Expect(os.Mkdir(dir, 0o700)).To(Succeed())
	left := relic{snapshot: filepath.Join(dir, "snapshot.db"), db: filepath.Join(dir, "copy.db")}
	cluster := begin(ctx, ground(ctx), 1)
	m, value := cluster.Members()[0], strings.Repeat("v", 300)
	client := must(m.Dial(ctx))
	defer client.Close() //nolint:errcheck // every call has been answered by then
	for i := range 300 {
		must(client.Put(ctx, fmt.Sprintf("key/%03d", i), value))
	}
	must(client.Compact(ctx, 100))
	must(client.Delete(ctx, "key/007"))
	last := must(client.HashKV(ctx, client.Endpoints()[0], 0))
	left.layout, left.revision, left.hash = cluster.Layout(), last.HashRevision, last.Hash
	must(fetch.Save(ctx, client, left.snapshot))
	must(m.Stop(ctx, 10*time.Second))
	must(fetch.Copy(ctx, m.Disk(), left.db))
	return left
}

// checked returns the manifest of one of its sources.
func (r relic) checked(ctx context.Context, kind recovery.Kind) recovery.Source {
	GinkgoHelper()
	return must(offline.Check(ctx, suite.worker(), kind, map[recovery.Kind]string{
		recovery.SavedSnapshot: r.snapshot, recovery.DBCopy: r.db,
	}[kind]))
}

// planned plans to restore a cluster of this size from the snapshot, at the places of the site.
func (r relic) planned(ctx context.Context, places harness.Placer, size int, opts ...recovery.PlanOption) recovery.Plan {
	GinkgoHelper()
	layout := must(harness.NewLayout(places, size, ""))
	opts = append(opts, recovery.WithSeats(layout.Seats...))
	return must(recovery.NewPlan(r.checked(ctx, recovery.SavedSnapshot), r.layout, identity.FreshToken(), opts...))
}

// damaged writes a damaged copy of the snapshot.
func (r relic) damaged(variant spoil.Variant) string {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), "damaged.db")
	Expect(os.WriteFile(path, must(variant.Spoil(must(os.ReadFile(r.snapshot)))), 0o400)).To(Succeed())
	return path
}

// forced restores a source under a manifest of our own making, as if nobody had checked it. Whatever comes of it, the target is
// clean afterwards and the source what it was.
func (r relic) forced(ctx context.Context, path string, skipHash bool) error {
	GinkgoHelper()
	before, scratch := digestOf(path), GinkgoT().TempDir()
	plan := r.planned(ctx, harness.HostPlaces{}, 1)
	plan.Source.Path, plan.Source.SHA256, plan.SkipHashCheck = path, before, skipHash
	_, err := offline.Restore(ctx, suite.worker(), plan, scratch)
	if err != nil {
		Expect(scratch).To(beAnEmptyFolder(), "left behind by %v", err)
	}
	Expect(digestOf(path)).To(Equal(before), "the source was changed")
	return err
}

// ground opens a place for members outside of a drill. It is closed after the spec.
func ground(ctx SpecContext) harness.Site {
	GinkgoHelper()
	id := harness.NewRunID()
	Expect(os.WriteFile(filepath.Join(suite.runs(), id), nil, 0o600)).To(Succeed())
	run := must(harness.NewRun(harness.RunConfig{
		ID: id, StateDir: suite.state(), WorkDir: suite.drill(id), Runtime: suite.runtime.Name(),
	}))
	DeferCleanup(func() error { return run.Close(false) })
	site := must(suite.runtime.Open(ctx, run))
	DeferCleanup(func(ctx SpecContext) error { return site.Close(ctx, false) }, NodeTimeout(time.Minute))
	return site
}

// begin starts an empty cluster, and returns when it answers.
func begin(ctx SpecContext, site harness.Site, size int) *harness.Cluster {
	GinkgoHelper()
	return started(ctx, site, harness.Birth{Layout: must(harness.NewLayout(site, size, identity.FreshToken()))})
}

// revive starts the cluster that was restored, and returns when it answers.
func revive(ctx SpecContext, site harness.Site, restored offline.Restored) *harness.Cluster {
	GinkgoHelper()
	return started(ctx, site, harness.Birth{Layout: restored.Plan.Layout, Generation: 2, Dirs: restored.Dirs()})
}

func started(ctx SpecContext, site harness.Site, birth harness.Birth) *harness.Cluster {
	GinkgoHelper()
	cluster := must(harness.Prepare(ctx, site, birth))
	Expect(cluster.Start(ctx)).To(Succeed())
	Expect(cluster.AwaitReady(ctx, time.Minute)).To(Succeed())
	return cluster
}

func digestOf(path string) string {
	GinkgoHelper()
	sum := sha256.Sum256(must(os.ReadFile(path)))
	return hex.EncodeToString(sum[:])
}

func beAnEmptyFolder() types.GomegaMatcher { return WithTransform(os.ReadDir, BeEmpty()) }
