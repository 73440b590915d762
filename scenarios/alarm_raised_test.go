package scenarios_test

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/await"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// An alarm stops all writes before the quorum is killed. It is part of the snapshot, under the ID of a member that no longer
// exists, so the new cluster begins with it whatever became of its cause.
var _ = Describe("quorum killed, alarm raised", Label("etcd", "disaster:quorum-killed-alarmed", "size:3"), func() {
	type alarm struct {
		oldArgs, newArgs []string
		raise            func(ctx context.Context, cluster *harness.Cluster) error
		refusal          error
	}
	DescribeTable("the new cluster answers reads, refuses writes until the alarm is disarmed, and then takes them",
		func(ctx SpecContext, a alarm) {
			d := rehearse(ctx, drill.Spec{
				Members: 3, Fault: "kill", Lose: faults.Quorum, Source: recovery.SavedSnapshot, Backup: drill.After,
			}, a.oldArgs...)
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			Expect(a.raise(ctx, old)).To(Succeed())
			Expect(awaitAlarm(ctx, old.Members()[0])).To(Succeed())

			outage := must(d.Strike(ctx, old, faults.Kill(faults.Quorum)))
			Expect(outage).To(HaveLostQuorum())
			snapshot := must(d.Rescue(ctx, outage))
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))

			plan := must(d.Plan(snapshot, down, identity.FreshToken()))
			reborn := must(d.Restore(ctx, plan, drill.WithNewArgs(a.newArgs...),
				drill.BeforeFirstWrite(func(ctx context.Context, reborn *drill.Reborn) error {
					for _, m := range reborn.Members() {
						Expect(put(ctx, m, "refused", 1)).To(MatchError(a.refusal), "%s, although its cause is gone", m.Name())
						Expect(count(ctx, m, "refused")).To(BeZero())
					}
					return d.Disarm(ctx, reborn)
				})))
			Expect(reborn.Disarmed).To(HaveEach(HaveField("Member", BeElementOf(memberIDs(old)))), "kept under the ID of an old member")

			verdict := must(d.Verify(ctx, drill.Proof{
				Book: book, Source: snapshot, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))
			Expect(verdict).To(BeIntact())
			Expect(verdict.Hazards).To(ContainElement(HaveField("Text", ContainSubstring("refuses writes until the alarm is disarmed"))))
		},
		Entry("no space, and more of it after the restore",
			Label("B1", "via:larger-quota", "issue:etcd#9992", "issue:etcd#17318"), SpecTimeout(3*time.Minute), alarm{
				oldArgs: []string{"--quota-backend-bytes=2097152"}, newArgs: []string{"--quota-backend-bytes=67108864"},
				raise:   func(context.Context, *harness.Cluster) error { return nil }, // the load does
				refusal: rpctypes.ErrNoSpace,
			}),
		Entry("corruption", Label("B2", "via:snapshot"), SpecTimeout(3*time.Minute), alarm{
			raise: raiseCorrupt, refusal: rpctypes.ErrCorrupt,
		}),
	)
})

// awaitAlarm returns when the member knows of an alarm.
func awaitAlarm(ctx context.Context, m *harness.Member) error {
	probe, err := m.Probe(ctx)
	if err != nil {
		return err
	}
	defer probe.Close()
	return await.Until(ctx, await.Condition{Name: "an alarm", Within: time.Minute}, func(ctx context.Context) error {
		raised, err := probe.Client().AlarmList(ctx)
		if err == nil && len(raised.Alarms) == 0 {
			err = errors.New("none is raised")
		}
		return err
	})
}

// raiseCorrupt has a member say that its data is corrupt: etcd takes anybody's word for it (api/v3rpc/maintenance.go, Alarm).
func raiseCorrupt(ctx context.Context, cluster *harness.Cluster) error {
	m := cluster.Members()[0]
	probe, err := m.Probe(ctx)
	if err != nil {
		return err
	}
	defer probe.Close()
	_, err = pb.NewMaintenanceClient(probe.Client().ActiveConnection()).Alarm(ctx, &pb.AlarmRequest{
		Action: pb.AlarmRequest_ACTIVATE, MemberID: uint64(m.ID()), Alarm: pb.AlarmType_CORRUPT,
	})
	return err
}

func memberIDs(cluster *harness.Cluster) []identity.MemberID {
	var ids []identity.MemberID
	for _, m := range cluster.Members() {
		ids = append(ids, m.ID())
	}
	return ids
}
