// Package fetch takes backups from clusters: snapshots that living members stream, and databases of members that are down. It knows
// nothing of engines and containers beyond harness.Disk, and it looks into no database.
package fetch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
)

// ErrStalled means that a server stopped sending in the middle of a snapshot, or never began. etcd sets no limit, and neither
// does etcdctl (etcd issue 10298).
var ErrStalled = errors.New("the server stopped sending")

// stallLimit is how long Save waits for the next byte. A server that has a snapshot to send sends it at once: it reads its own
// file.
const stallLimit = 30 * time.Second

// WithStallLimit changes how long Save waits for the next byte before it gives up with ErrStalled: 30 s without it.
func WithStallLimit(limit time.Duration) Option {
	return func(o *fetchOptions) { o.stall = limit }
}

// MinRate is the lowest bound that WithRate sets: below it a stream could not be told from one that stalls.
const MinRate = 64 << 10

// WithRate bounds how many bytes Save takes in a second, at least MinRate; 0 for no bound. The server sends no faster than they are
// taken.
func WithRate(bytesPerSecond int64) Option {
	return func(o *fetchOptions) { o.rate = bytesPerSecond }
}

// Save streams a snapshot of the one member that the client is bound to into a new file. It needs no quorum; a member that
// lags gives an old state without a word (see offline.Check for the revision). A server that is frozen never answers; Save gives it up
// when nothing has come for a while, whatever the context's deadline is, with an error wrapping ErrStalled.
//
// The hash in the stream is verified while it is written. The file appears under its name when it is complete and on disk;
// after an error there is neither the file nor PATH.part. A deadline that passed is context.DeadlineExceeded, whoever noticed
// it first. A path that is taken is an error wrapping fs.ErrExist.
func Save(ctx context.Context, client *clientv3.Client, path string, opts ...Option) (stored Stored, err error) {
	if endpoints := client.Endpoints(); len(endpoints) != 1 {
		return Stored{}, fmt.Errorf("save snapshot: the client has %d endpoints; dial exactly one member", len(endpoints))
	}
	ctx, cancel := context.WithCancelCause(ctx) // ends the stream, however this function is left
	defer cancel(nil)
	stored, err = fetch(path, opts, func(part *partFile) (version string, err error) {
		stream := watch(part, cancel)
		defer stream.waiting.Stop()
		response, err := client.SnapshotWithVersion(ctx)
		if err != nil {
			return "", ending(ctx, err)
		}
		defer func() { _ = response.Snapshot.Close() }() // a read end of a pipe: closing cannot lose anything
		if _, err := io.Copy(stream, throttled(ctx, response.Snapshot, part.rate)); err != nil {
			return "", ending(ctx, err)
		}
		// The client may repeat a broken stream from its start, and a server that cannot read its own file ends the stream
		// early: only the hash tells.
		if fault, why := part.body.Fault(part.size); fault != nil {
			return "", fmt.Errorf("%w: %s; save again, from another member if it recurs", fault, why)
		}
		return response.Version, nil
	})
	if err != nil {
		return Stored{}, fmt.Errorf("save snapshot of %s: %w", client.Endpoints()[0], err)
	}
	return stored, nil
}

// throttled reads no faster than this many bytes in a second.
func throttled(ctx context.Context, from io.Reader, bytesPerSecond int64) io.Reader {
	if bytesPerSecond == 0 {
		return from
	}
	limit := max(bytesPerSecond, MinRate)
	burst := int(min(limit, 32<<10)) // what io.Copy asks for at once
	return &throttle{ctx: ctx, from: from, limiter: rate.NewLimiter(rate.Limit(limit), burst)}
}

type throttle struct {
	ctx     context.Context
	from    io.Reader
	limiter *rate.Limiter
}

// Read implements io.Reader.
func (t *throttle) Read(p []byte) (int, error) {
	n, err := t.from.Read(p[:min(len(p), t.limiter.Burst())])
	if waited := t.limiter.WaitN(t.ctx, n); err == nil {
		err = waited
	}
	return n, err
}

// watched is a file that is filled from a server, which is given up when nothing has come for a while.
type watched struct {
	*partFile
	waiting *time.Timer
	limit   time.Duration
}

func watch(part *partFile, giveUp context.CancelCauseFunc) watched {
	limit := cmp.Or(part.stall, stallLimit)
	return watched{partFile: part, limit: limit, waiting: time.AfterFunc(limit, func() {
		giveUp(fmt.Errorf("%w: nothing came for %s; see whether the member is frozen, and save from another one", ErrStalled, limit))
	})}
}

// Write implements io.Writer. That this disk is slow is no fault of the server.
func (w watched) Write(data []byte) (int, error) {
	w.waiting.Stop()
	defer w.waiting.Reset(w.limit)
	return w.partFile.Write(data)
}

// ending says why a stream ended: because it was given up, or because of its error.
func ending(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrStalled) {
		return cause
	}
	return asDeadline(ctx, err)
}

// noticedBy is how much earlier than we a server may find that a deadline has passed.
const noticedBy = time.Second

// asDeadline makes errors.Is know a deadline that the server noticed first: gRPC then gives a status, and not the context's
// error. Of a stream it is the status Canceled, with which the server resets it (gRPC's internal/transport/http2_server.go);
// that is told from others by how near the deadline is.
func asDeadline(ctx context.Context, err error) error {
	code := status.Code(err)
	deadline, bounded := ctx.Deadline()
	reset := code == codes.Canceled && bounded && time.Until(deadline) < noticedBy && !errors.Is(context.Cause(ctx), context.Canceled)
	if (reset || code == codes.DeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

// fetch fills a new file, with all the care that Save and Copy promise.
func fetch(path string, opts []Option, fill func(*partFile) (version string, err error)) (Stored, error) {
	part, err := createPart(path, opts)
	if err != nil {
		return Stored{}, err
	}
	version, err := fill(part)
	if err != nil {
		return Stored{}, blob.JoinCleanup(err, part.discard())
	}
	stored, err := part.commit()
	if err != nil {
		return Stored{}, blob.JoinCleanup(err, part.discard())
	}
	stored.ServerVersion = version
	return stored, nil
}
