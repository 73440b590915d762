package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Save streams a snapshot of the one member that the client is bound to into a new file. It needs no quorum; a member that
// lags gives an old state without a word (see Check for the revision). It has no deadline but the context's, and a frozen
// server never answers, so the context must have one.
//
// The hash in the stream is verified while it is written. The file appears under its name when it is complete and on disk;
// after an error there is neither the file nor PATH.part. A deadline that passed is context.DeadlineExceeded, whoever noticed
// it first. A path that is taken is an error wrapping fs.ErrExist.
func Save(ctx context.Context, client *clientv3.Client, path string, opts ...FetchOption) (stored Stored, err error) {
	if endpoints := client.Endpoints(); len(endpoints) != 1 {
		return Stored{}, fmt.Errorf("save snapshot: the client has %d endpoints; dial exactly one member", len(endpoints))
	}
	ctx, cancel := context.WithCancel(ctx) // ends the stream, however this function is left
	defer cancel()
	stored, err = fetch(path, opts, func(part *partFile) (version string, err error) {
		response, err := client.SnapshotWithVersion(ctx)
		if err != nil {
			return "", asDeadline(err)
		}
		defer func() { _ = response.Snapshot.Close() }() // a read end of a pipe: closing cannot lose anything
		if _, err := io.Copy(part, response.Snapshot); err != nil {
			return "", asDeadline(err)
		}
		// The client may repeat a broken stream from its start, and a server that cannot read its own file ends the stream
		// early: only the hash tells.
		if fault, why := part.body.fault(part.size); fault != nil {
			return "", fmt.Errorf("%w: %s; save again, from another member if it recurs", fault, why)
		}
		return response.Version, nil
	})
	if err != nil {
		return Stored{}, fmt.Errorf("save snapshot of %s: %w", client.Endpoints()[0], err)
	}
	return stored, nil
}

// asDeadline makes errors.Is know a deadline that the server noticed first: gRPC then gives a status, and not the context's
// error.
func asDeadline(err error) error {
	if status.Code(err) == codes.DeadlineExceeded && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

// fetch fills a new file, with all the care that Save and Copy promise.
func fetch(path string, opts []FetchOption, fill func(*partFile) (version string, err error)) (Stored, error) {
	part, err := createPart(path, opts)
	if err != nil {
		return Stored{}, err
	}
	version, err := fill(part)
	if err != nil {
		return Stored{}, joinCleanup(err, part.discard())
	}
	stored, err := part.commit()
	if err != nil {
		return Stored{}, joinCleanup(err, part.discard())
	}
	stored.ServerVersion = version
	return stored, nil
}
