// Package consumer rehearses the loss of a quorum from a module of its own, with nothing but what etcd-drill makes public.
package consumer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// asWorker makes this test program a worker, which opens files of unknown health.
const asWorker = "CONSUMER_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		if err := offline.Serve(context.Background(), os.Stdin, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestConsumer(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "consumer")
}

var _ = Describe("a cluster restored from a snapshot of its survivor", func() {
	It("holds every acknowledged write", func(ctx SpecContext) {
		d := open(ctx)
		old := must(d.Start(ctx))
		load := must(d.StartLoad(ctx, old, drill.Mixed))
		Expect(load.AwaitFilled(ctx)).To(Succeed())

		outage := must(d.Strike(ctx, old, faults.Kill(faults.Quorum)))
		Expect(outage).To(HaveLostQuorum())
		snapshot := must(d.Rescue(ctx, outage))
		book := must(load.Stop(ctx))
		down := must(d.StopAll(ctx, outage))

		plan := must(d.Plan(snapshot, down, identity.FreshToken()))
		reborn := must(d.Restore(ctx, plan))
		Expect(reborn.ID()).To(And(Equal(plan.ClusterID), Not(Equal(old.ID()))))
		var verdict drill.Verdict = must(d.Verify(ctx, drill.Proof{
			Book: book, Source: snapshot, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
		}))
		Expect(verdict).To(BeIntact())
		Expect(verdict.Outcome).To(Equal(drill.Intact))
	}, SpecTimeout(2*time.Minute))
})

func open(ctx context.Context) *drill.Drill {
	GinkgoHelper()
	temp, id := GinkgoT().TempDir(), harness.NewRunID()
	state := filepath.Join(temp, "state")
	runtime := must(host.Open(ctx, host.Config{
		Choice:   host.Choice(os.Getenv("ETCD_DRILL_RUNTIME")),
		CacheDir: filepath.Join(must(os.UserCacheDir()), "etcd-drill"), StateDir: state,
	}.WithDefaults(os.Getenv("ETCD_DRILL_IMAGE"), os.Getenv("ETCD_DRILL_BINARY"))))
	DeferCleanup(runtime.Close)
	spec := drill.DefaultSpec()
	spec.Keys, spec.Seed = 400, uint64(GinkgoRandomSeed())
	d, err := drill.Open(ctx, spec, drill.Options{
		Runtime: runtime, RunID: id, Folder: filepath.Join(temp, "drill"), StateDir: state,
		Worker: offline.Worker{Path: must(os.Executable()), Env: []string{asWorker + "=1"}},
	})
	DeferCleanup(func(ctx SpecContext) {
		Expect(d.Close(ctx)).To(Succeed())
		Expect(runtime.Left(ctx, id)).To(BeEmpty())
	}, NodeTimeout(time.Minute))
	Expect(err).NotTo(HaveOccurred())
	return d
}

func must[T any](value T, err error) T {
	GinkgoHelper()
	Expect(err).NotTo(HaveOccurred())
	return value
}
