package offline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

func TestOnlyCompletedRestoresOfThePlanPass(t *testing.T) {
	ctx := recoverytest.Context(t)
	b := recoverytest.MakeBackups(t, ctx, 200)
	worker := testWorker(t, "serve")
	source, err := Check(ctx, worker, recovery.SavedSnapshot, b.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	layout := recoverytest.Layout(t, 1)
	plan, err := recovery.NewPlan(source, layout, identity.FreshToken())
	if err != nil {
		t.Fatal(err)
	}
	done, err := Restore(ctx, worker, plan, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	before := lookAll(t, done.Members[0].Dir)
	if err := Vet(ctx, worker, done); err != nil {
		t.Error(err)
	}
	sameFiles(t, lookAll(t, done.Members[0].Dir), before)

	for name, c := range map[string]struct {
		make makeHalf
		want error
		says string
	}{
		"failed":            {failedRestore, ErrHalfRestored, "failed-restore"},
		"killed in copy":    {restoreKilledInCopy, ErrHalfRestored, "failed-restore"},
		"killed at first":   {restoreKilledBeforeTrim, ErrHalfRestored, "failed-restore"},
		"killed before log": {restoreKilledBeforeLog, ErrHalfRestored, "cut-restore"},
		"killed at last":    {restoreKilledBeforeIndex, ErrHalfRestored, "unfinished-restore"},
		"log elsewhere":     {logElsewhere, ErrHalfRestored, "missing-log"},
		"put there":         {databasePutThere, ErrHalfRestored, "bare-database"},
		"foreign":           {foreignDatabase, ErrHalfRestored, "foreign-database"},
		"no database":       {databaseGone, ErrHalfRestored, "no-database"},
		"has run":           {memberHasRun, ErrHalfRestored, "a member has run on it"},
		"another token":     {completeRestore, ErrWrongIdentity, plan.ClusterID.String()},
		"another cluster":   {restoreBesideAnother, ErrWrongIdentity, plan.ClusterID.String()},
	} {
		t.Run(name, func(t *testing.T) {
			spoiled, token := done, plan.Layout.Token
			if name == "another token" {
				token = identity.FreshToken()
			}
			spoiled.Members = []RestoredMember{done.Members[0]}
			spoiled.Members[0].Dir = c.make(t, ctx, b, harness.Layout{Token: token, Seats: plan.Layout.Seats})
			err := Vet(ctx, worker, spoiled)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "member m1") {
				t.Errorf("got %v, want %v with %q", err, c.want, c.says)
			}
		})
	}
	t.Run("another source", func(t *testing.T) {
		spoiled := done
		spoiled.Members = []RestoredMember{done.Members[0]}
		spoiled.Members[0].SHA256 = "other"
		if err := Vet(ctx, testWorker(t, "killed"), spoiled); !errors.Is(err, ErrMixedSources) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a worker that dies", func(t *testing.T) {
		if err := Vet(ctx, testWorker(t, "killed"), done); !errors.Is(err, recovery.ErrWorkerDied) {
			t.Errorf("got %v", err)
		}
	})
}

// restoreBesideAnother makes the planned member, whose ID follows from its URL and token alone, in a cluster of two.
func restoreBesideAnother(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout) string {
	layout.Seats = append(slices.Clone(layout.Seats), harness.Seat{Name: "m2", PeerURL: "http://" + recoverytest.FreeAddress(t)})
	return completeRestore(t, ctx, b, layout)
}

func memberHasRun(t *testing.T, ctx context.Context, b recoverytest.Backups, layout harness.Layout) string {
	dir := completeRestore(t, ctx, b, layout)
	server := recoverytest.Start(t, dir, layout.Seats[0], layout.InitialCluster())
	server.AwaitReady(t, ctx)
	server.Stop()
	return dir
}
