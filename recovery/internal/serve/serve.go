// Package serve is the worker's side: it opens databases and logs, on copies that are its own, and has etcdutl restore them. With
// recovery/dataset it is the only importer of etcdutl, of etcd's server module and of bbolt.
package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/etcd-drill/etcd-drill/recovery/internal/child"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// Answer reads one request from stdin, does it, and writes one response to stdout. What etcd's libraries log goes to stderr. The
// error says that there was no usable request or no way to answer; the outcome of the task itself is in the response.
func Answer(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error {
	var req wire.Request
	if err := wire.Decode(stdin, &req); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	start := time.Now()
	job := &job{lg: newLogger(stderr), stderr: stderr}
	resp, err := job.do(ctx, req)
	resp.Failure, resp.Took, resp.PeakRSSBytes = wire.FailureOf(err), time.Since(start), child.PeakRSSBytes()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	resp.OwnBytes = int64(memory.Sys) // which never goes down
	if resp.Restored != nil {
		resp.PeakRSSBytes = max(resp.PeakRSSBytes, resp.Restored.ToolRSSBytes)
	}
	if err := json.NewEncoder(stdout).Encode(resp); err != nil {
		return fmt.Errorf("write response: %w", err)
	}
	return nil
}

// newLogger makes the logger that etcd's libraries get; without one they exit on Fatal without a word. Fatal panics
// instead of exiting, so that the reason reaches the response where it can.
func newLogger(w io.Writer) *zap.Logger {
	config := zap.NewProductionEncoderConfig()
	config.TimeKey = zapcore.OmitKey
	core := zapcore.NewCore(zapcore.NewConsoleEncoder(config), zapcore.Lock(zapcore.AddSync(w)), zapcore.InfoLevel)
	return zap.New(core, zap.WithFatalHook(zapcore.WriteThenPanic))
}

// job does one request.
type job struct {
	lg     *zap.Logger
	stderr io.Writer // where lg writes to
}

func (j *job) do(ctx context.Context, req wire.Request) (wire.Response, error) {
	switch {
	case req.Check != nil:
		source, err := j.check(ctx, *req.Check)
		return wire.Response{Source: source}, err
	case req.Extract != nil:
		contents, err := j.extract(ctx, *req.Extract)
		return wire.Response{Contents: contents}, err
	case req.Restore != nil:
		restored, err := j.restore(ctx, *req.Restore)
		return wire.Response{Restored: restored}, err
	case req.Survey != nil:
		database, err := j.survey(ctx, *req.Survey)
		return wire.Response{Database: database}, err
	case req.ReadLog != nil:
		log, err := j.readLog(ctx, *req.ReadLog)
		return wire.Response{Log: log}, err
	case req.Vet != nil:
		vetted, err := j.vet(ctx, *req.Vet)
		return wire.Response{Vetted: vetted}, err
	case req.Verify != nil:
		return wire.Response{}, verifySource(ctx, *req.Verify)
	default:
		return wire.Response{}, fmt.Errorf("serve: the request holds no task")
	}
}
