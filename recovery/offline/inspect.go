package offline

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/diagnose"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// InspectOption changes what Inspect looks at.
type InspectOption func(*inspectOptions)

type inspectOptions struct{ walDir string }

// WithWALDir names the directory of the write-ahead log where a server was started with --wal-dir.
func WithWALDir(dir string) InspectOption {
	return func(o *inspectOptions) { o.walDir = dir }
}

// Inspect finds out all that can be known offline of a file (a saved snapshot, a db copy) or of a directory (a data
// directory, or one that holds nothing but a database). Files are opened in workers, on copies in Worker.Scratch, or in the
// system's folder for temporary files if that is empty; what is inspected is only read. Room for the database and the filled
// part of the log is needed.
//
// Damage is a finding of the inspection and no error. An error wrapping recovery.ErrUnreadable says that there is nothing of etcd or
// that it cannot be read; every other one that it could not be examined.
func Inspect(ctx context.Context, w Worker, path string, opts ...InspectOption) (recovery.Inspection, error) {
	var options inspectOptions
	for _, opt := range opts {
		opt(&options)
	}
	if w.Scratch == "" {
		w.Scratch = os.TempDir()
	}
	at, err := diagnose.Locate(path, options.walDir)
	if err != nil {
		return recovery.Inspection{}, err
	}
	found := recovery.Inspection{Path: path, Form: at.Form}
	var proof diagnose.Evidence
	if at.DB != "" {
		if found.Database, err = w.surveyDatabase(ctx, at.DB, &proof); err != nil {
			return recovery.Inspection{}, err
		}
		if at.Form == "" {
			found.Form = recovery.Form(found.Database.Kind)
		}
		if at.Form == recovery.FormDirectory && found.Database.Hash == recovery.HashNone {
			found.Database.Hash = recovery.HashNotApplicable
		}
	}
	if at.WAL != "" {
		applied := uint64(0)
		if found.Database != nil && found.Database.Content != nil {
			applied = found.Database.Content.ConsistentIndex
		}
		if found.Log, err = w.surveyLog(ctx, at.WAL, applied, &proof); err != nil {
			return recovery.Inspection{}, err
		}
	}
	if found.Database != nil && found.Database.Content != nil {
		found.Versions = recovery.Acceptances(*found.Database.Content)
	}
	found.Findings = diagnose.Findings(found, at, proof)
	return found, nil
}

// surveyDatabase asks a worker. A fault of the database goes to the evidence.
func (w Worker) surveyDatabase(ctx context.Context, path string, proof *diagnose.Evidence) (*recovery.Database, error) {
	before, err := os.Stat(path)
	if err != nil {
		return nil, &recovery.SourceError{Path: path, Fault: recovery.ErrUnreadable, Cause: err}
	}
	if blob.HeldOpen(path) {
		proof.InUse = "a process holds it open"
	}
	var resp wire.Response
	err = w.withCopy(path, func(copyPath string) (err error) {
		resp, err = w.run(ctx, "inspect "+path, wire.Request{Survey: &wire.SurveyTask{Source: wire.CopyTask{Path: path, Copy: copyPath}}})
		return err
	})
	if err == nil {
		err = resp.Failure.Err()
	}
	if err != nil {
		err = sourceFault(path, err)
		if !errors.As(err, &proof.DBFault) || errors.Is(err, recovery.ErrUnreadable) {
			return nil, err
		}
	}
	after, err := os.Stat(path)
	if err == nil && (after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime())) {
		proof.InUse = "it changed while it was read"
	}
	if resp.Database != nil {
		return resp.Database, nil
	}
	if proof.DBFault == nil {
		return nil, fmt.Errorf("inspect %s: the worker answered without a database", path)
	}
	return bareFacts(ctx, path) // the worker died of it
}

// bareFacts tells of a file what can be told without opening it as a database.
func bareFacts(ctx context.Context, path string) (*recovery.Database, error) {
	size, sum, err := blob.DigestFile(ctx, path)
	if err != nil {
		return nil, &recovery.SourceError{Path: path, Fault: recovery.ErrUnreadable, Cause: err}
	}
	db := &recovery.Database{
		Path: path, Kind: blob.KindOf(size), Hash: recovery.HashNone, SizeBytes: size, SHA256: sum.Whole, ImageBytes: blob.ImageBytes(path, size),
	}
	if db.Kind == recovery.SavedSnapshot {
		db.Hash = recovery.HashBad
		if sum.BodyFault == nil {
			db.Hash = recovery.HashGood
		}
	}
	return db, nil
}

// surveyLog asks a worker. A fault of the log goes to the evidence; a folder without segments is no log.
func (w Worker) surveyLog(ctx context.Context, dir string, applied uint64, proof *diagnose.Evidence) (*recovery.Log, error) {
	var resp wire.Response
	err := w.withCopy(dir, func(copyPath string) (err error) {
		resp, err = w.run(ctx, "inspect "+dir, wire.Request{ReadLog: &wire.LogTask{Dir: dir, Copy: copyPath, Applied: applied}})
		return err
	})
	if err == nil {
		err = resp.Failure.Err()
	}
	if err != nil {
		err = sourceFault(dir, err)
		if !errors.As(err, &proof.LogFault) || errors.Is(err, recovery.ErrUnreadable) {
			return nil, err
		}
	}
	if resp.Log == nil {
		return &recovery.Log{Dir: dir}, nil // the worker died of it
	}
	return resp.Log, nil
}
