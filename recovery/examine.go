package recovery

import (
	"context"
	"errors"
	"fmt"
	"os"
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
// Damage is a finding of the inspection and no error. An error wrapping ErrUnreadable says that there is nothing of etcd or
// that it cannot be read; every other one that it could not be examined.
func Inspect(ctx context.Context, w Worker, path string, opts ...InspectOption) (Inspection, error) {
	var options inspectOptions
	for _, opt := range opts {
		opt(&options)
	}
	if w.Scratch == "" {
		w.Scratch = os.TempDir()
	}
	at, err := locate(path, options.walDir)
	if err != nil {
		return Inspection{}, err
	}
	found := Inspection{Path: path, Form: at.form}
	var proof evidence
	if at.db != "" {
		if found.Database, err = w.surveyDatabase(ctx, at.db, &proof); err != nil {
			return Inspection{}, err
		}
		if at.form == "" {
			found.Form = Form(found.Database.Kind)
		}
		if at.form == FormDirectory && found.Database.Hash == HashNone {
			found.Database.Hash = HashNotApplicable
		}
	}
	if at.wal != "" {
		applied := uint64(0)
		if found.Database != nil && found.Database.Content != nil {
			applied = found.Database.Content.ConsistentIndex
		}
		if found.Log, err = w.surveyLog(ctx, at.wal, applied, &proof); err != nil {
			return Inspection{}, err
		}
	}
	if found.Database != nil && found.Database.Content != nil {
		found.Versions = Acceptances(*found.Database.Content)
	}
	found.Findings = diagnose(found, at, proof)
	return found, nil
}

// surveyDatabase asks a worker. A fault of the database goes to the evidence.
func (w Worker) surveyDatabase(ctx context.Context, path string, proof *evidence) (*Database, error) {
	before, err := os.Stat(path)
	if err != nil {
		return nil, &SourceError{Path: path, Fault: ErrUnreadable, Cause: err}
	}
	if heldOpen(path) {
		proof.inUse = "a process holds it open"
	}
	var resp response
	err = w.withCopy(path, func(copyPath string) (err error) {
		resp, err = w.run(ctx, "inspect "+path, request{Survey: &surveyTask{Source: copyTask{Path: path, Copy: copyPath}}})
		return err
	})
	if err == nil {
		err = resp.Failure.err()
	}
	if err != nil {
		err = sourceFault(path, err)
		if !errors.As(err, &proof.dbFault) || errors.Is(err, ErrUnreadable) {
			return nil, err
		}
	}
	after, err := os.Stat(path)
	if err == nil && (after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime())) {
		proof.inUse = "it changed while it was read"
	}
	if resp.Database != nil {
		return resp.Database, nil
	}
	if proof.dbFault == nil {
		return nil, fmt.Errorf("inspect %s: the worker answered without a database", path)
	}
	return bareFacts(ctx, path) // the worker died of it
}

// bareFacts tells of a file what can be told without opening it as a database.
func bareFacts(ctx context.Context, path string) (*Database, error) {
	size, sum, err := digestFile(ctx, path)
	if err != nil {
		return nil, &SourceError{Path: path, Fault: ErrUnreadable, Cause: err}
	}
	db := &Database{
		Path: path, Kind: kindOf(size), Hash: HashNone, SizeBytes: size, SHA256: sum.whole, ImageBytes: imageBytes(path, size),
	}
	if db.Kind == SavedSnapshot {
		db.Hash = HashBad
		if sum.bodyFault == nil {
			db.Hash = HashGood
		}
	}
	return db, nil
}

// surveyLog asks a worker. A fault of the log goes to the evidence; a folder without segments is no log.
func (w Worker) surveyLog(ctx context.Context, dir string, applied uint64, proof *evidence) (*Log, error) {
	var resp response
	err := w.withCopy(dir, func(copyPath string) (err error) {
		resp, err = w.run(ctx, "inspect "+dir, request{ReadLog: &logTask{Dir: dir, Copy: copyPath, Applied: applied}})
		return err
	})
	if err == nil {
		err = resp.Failure.err()
	}
	if err != nil {
		err = sourceFault(dir, err)
		if !errors.As(err, &proof.logFault) || errors.Is(err, ErrUnreadable) {
			return nil, err
		}
	}
	if resp.Log == nil {
		return &Log{Dir: dir}, nil // the worker died of it
	}
	return resp.Log, nil
}
