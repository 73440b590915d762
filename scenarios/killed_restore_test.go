package scenarios_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/etcd-drill/etcd-drill/drill"
	. "github.com/etcd-drill/etcd-drill/drill/matchers"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// Whoever restores is killed: the machine goes down, the pod is evicted, somebody is impatient. What is there then looks like a
// data directory.
var _ = Describe("all wiped, and a restore killed", Label("etcd", "disaster:all-wiped"), func() {
	It("leaves a directory that no member is started on, wherever it was; without it, the restore can be done again",
		Label("B12", "via:killed-restore", "size:1"), func(ctx SpecContext) {
			d := rehearse(ctx, drill.Spec{Members: 1, Fault: "wipe", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.Before})
			old := must(d.Start(ctx))
			load := must(d.StartLoad(ctx, old, drill.Mixed))
			Expect(load.AwaitFilled(ctx)).To(Succeed())
			saved := must(d.Backup(ctx, old))
			outage := must(d.Strike(ctx, old, faults.Wipe(faults.All)))
			Expect(outage).To(HaveLostQuorum())
			book := must(load.Stop(ctx))
			down := must(d.StopAll(ctx, outage))
			plan := must(d.Plan(saved, down, identity.FreshToken()))
			dir := filepath.Join(old.Site().Scratch(), plan.Members[0].Name)

			for _, at := range []deathMark{
				{"Opening db file", 1, recovery.FailedRestore}, {"added member", 1, recovery.CutRestore},
				{"Opening db file", 3, recovery.UnfinishedRestore},
			} {
				By(fmt.Sprintf("killed at %q for the %d. time", at.Line, at.Count))
				Expect(os.RemoveAll(dir)).To(Succeed())
				killRestore(ctx, plan, dir, at)
				_, err := d.Boot(ctx, asRestored(plan, dir))
				Expect(err).To(MatchError(offline.ErrHalfRestored))
				Expect(err).To(MatchError(ContainSubstring(string(at.Leaves))))
			}
			expectNoService(ctx, old.Site(), asRestored(plan, dir))
			Expect(d.Restore(ctx, plan)).Error().To(MatchError(offline.ErrTargetTaken), "it must not mix with what is there")
			Expect(os.RemoveAll(dir)).To(Succeed())

			reborn := must(d.Restore(ctx, plan))
			verdict := must(d.Verify(ctx, drill.Proof{
				Book: book, Source: saved, Outage: outage, Down: down, Plan: plan, Reborn: reborn,
			}))
			Expect(verdict).To(BeIntact())
		}, SpecTimeout(2*time.Minute))
})

// deathMark is where a restore is killed: at the nth line of its log that begins so. It opens the database three times: to
// remove the old members, to add the new ones and make the log, and to reset the index.
type deathMark struct {
	Line   string
	Count  int
	Leaves recovery.FindingName
}

// doomed is a restore of etcd's own that this test program does, started again, until it kills itself at the mark.
type doomed struct {
	At     deathMark
	Config snapshot.RestoreConfig
}

const envDoomed = "ETCD_DRILL_SCENARIOS_DOOMED"

func TestMain(m *testing.M) {
	if task := os.Getenv(envDoomed); task != "" {
		fmt.Fprintln(os.Stderr, "it lives:", restoreUntilKilled(task))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func restoreUntilKilled(task string) error {
	var d doomed
	if err := json.Unmarshal([]byte(task), &d); err != nil {
		return err
	}
	left := d.At.Count
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(os.Stderr), zapcore.InfoLevel)
	return snapshot.NewV3(zap.New(core, zap.Hooks(func(entry zapcore.Entry) error {
		if strings.HasPrefix(entry.Message, d.At.Line) {
			if left--; left == 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
		return nil
	}))).Restore(d.Config)
}

func killRestore(ctx context.Context, plan recovery.Plan, dir string, at deathMark) {
	GinkgoHelper()
	member := plan.Members[0]
	task := must(json.Marshal(doomed{At: at, Config: snapshot.RestoreConfig{
		SnapshotPath: plan.Source.Path, Name: member.Name, OutputDataDir: dir, PeerURLs: []string{member.PeerURL},
		InitialCluster: member.InitialCluster, InitialClusterToken: string(plan.Layout.Token),
	}}))
	cmd := exec.CommandContext(ctx, must(os.Executable()))
	var said bytes.Buffer
	cmd.Env, cmd.Stderr = append(os.Environ(), envDoomed+"="+string(task)), &said
	Expect(cmd.Run()).To(MatchError(ContainSubstring("killed")), "%s", said.String())
}
