package offline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// Extraction says where the contents of a source go.
type Extraction struct {
	// DigestKey keys the digests of values, so that small secrets cannot be guessed from them: a digest is the first 16 bytes
	// of HMAC-SHA256(DigestKey, value) in hexadecimal. It must not be empty.
	DigestKey []byte
	// History becomes a stream of ledger.Record, Keyspace one of ledger.Pair, Leases one of ledger.Lease, to be read with
	// ledger.ReadRecords, ledger.ReadPairs and ledger.ReadLeases; State becomes one ledger.State in JSON. None of the files may
	// exist. Leases and State may both be empty, and nothing beside keys is then read.
	History, Keyspace, Leases, State string
	// BumpedTo is the revision to which a plan bumps the source, see recovery.Plan.Revision; 0 for none. It matters for the HashKV alone.
	BumpedTo int64
	// Cover hides the names of keys in all of the files, as ledger.Coverer does under the DigestKey; the keyspace is then sorted by
	// what they became.
	Cover bool
	// Beat is a key under which a time is expected; none if empty.
	Beat string
}

// Extract writes out what a checked source holds: every record above the compaction point, tombstones included, sorted by
// revision; every key at the restore point, sorted bytewise; and what there is beside keys. It works in a worker, like Check, but
// makes no copy: the source is read in its place, neither locked nor mapped, and its digest compared when all has been read.
// Memory does not grow with the source; what must come in another order is sorted in files, in Worker.Scratch.
//
// A source that changed since Check is an error wrapping recovery.ErrSourceChanged. After an error none of the files exists.
func Extract(ctx context.Context, w Worker, src recovery.Source, x Extraction) (recovery.Contents, error) {
	if len(x.DigestKey) == 0 {
		return recovery.Contents{}, fmt.Errorf("extract %s: no digest key was given", src.Path)
	}
	outputs := []*string{&x.History, &x.Keyspace}
	if x.Leases != "" || x.State != "" {
		outputs = append(outputs, &x.Leases, &x.State)
	}
	for _, path := range outputs {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return recovery.Contents{}, fmt.Errorf("extract %s: %w", src.Path, err)
		}
		*path = absolute
		if _, err := os.Lstat(absolute); !errors.Is(err, fs.ErrNotExist) {
			return recovery.Contents{}, fmt.Errorf("extract %s: output %s: %w", src.Path, absolute, errors.Join(err, fs.ErrExist))
		}
	}
	var resp wire.Response
	err := w.withScratch(src.Path, func(dir string) (err error) {
		task := wire.ExtractTask{
			Source:    wire.CopyTask{Kind: src.Kind, Path: src.Path, SHA256: src.SHA256, SkipHashCheck: src.HashSkipped},
			Scratch:   dir,
			DigestKey: x.DigestKey, History: x.History, Keyspace: x.Keyspace, Leases: x.Leases, State: x.State,
			RestorePoint: src.RestorePoint, Compacted: src.Compacted, BumpedTo: x.BumpedTo,
			Beat: []byte(x.Beat), Cover: x.Cover,
		}
		resp, err = w.run(ctx, "extract "+src.Path, wire.Request{Extract: &task})
		return err
	})
	if err == nil {
		err = resp.Failure.Err()
	}
	if err == nil && resp.Contents == nil {
		err = errors.New("the worker answered without contents")
	}
	if err != nil {
		// A worker's death is not blamed on the source here: it passed Check, and this worker also writes.
		return recovery.Contents{}, blob.JoinCleanup(fmt.Errorf("extract %s: %w", src.Path, err), removeFiles(outputs))
	}
	return *resp.Contents, nil
}

func removeFiles(paths []*string) error {
	var errs []error
	for _, path := range paths {
		if err := os.Remove(*path); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
