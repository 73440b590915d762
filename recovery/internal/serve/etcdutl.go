package serve

import (
	"bytes"
	"context"
	"errors"
	"io"

	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// restoration is one restore by etcdutl, of one member. The hash of the source is checked elsewhere, once for all members.
type restoration struct {
	task    wire.RestoreTask
	member  wire.MemberTask
	source  string
	bump    uint64
	quiet   bool // what it logs is not worth reading if it succeeds
	log     etcdutlLog
	peakRSS int64 // of the program; 0 for the library
}

// etcdutl does a restore, by the linked library or by the program of the task.
func (j *job) etcdutl(ctx context.Context, r *restoration) error {
	if r.task.Etcdutl != "" {
		return j.restoreByTool(ctx, r)
	}
	return j.restoreByLibrary(r)
}

func (j *job) restoreByLibrary(r *restoration) error {
	lg := j.lg.WithOptions(zap.Hooks(r.log.hook))
	if r.quiet {
		lg = lg.WithOptions(zap.IncreaseLevel(zap.WarnLevel))
	}
	return caughtDeath("restore "+r.member.Name, survive(func() error {
		// A manager keeps what it does in its fields, so there is one for each restore.
		return snapshot.NewV3(lg).Restore(snapshot.RestoreConfig{
			SnapshotPath: r.source, Name: r.member.Name, OutputDataDir: r.member.DataDir, OutputWALDir: r.member.WALDir,
			PeerURLs: []string{r.member.PeerURL}, InitialCluster: r.task.InitialCluster, InitialClusterToken: string(r.task.Token),
			SkipHashCheck: true, RevisionBump: r.bump, MarkCompacted: r.bump > 0, // one is ignored without the other
		})
	}))
}

// toolOf is the program that restores.
func (j *job) toolOf(task wire.RestoreTask) tool { return tool{path: task.Etcdutl, stderr: j.stderr} }

func (j *job) restoreByTool(ctx context.Context, r *restoration) (err error) {
	program, said := j.toolOf(r.task), &bytes.Buffer{}
	if r.quiet {
		program.stderr = zapcore.Lock(zapcore.AddSync(said)) // both of the program's outputs go there
	} else {
		program.stderr = io.MultiWriter(j.stderr, &r.log)
	}
	if r.peakRSS, err = program.restore(ctx, r); err != nil && r.quiet {
		_, failed := said.WriteTo(j.stderr)
		err = errors.Join(err, failed)
	}
	return err
}
