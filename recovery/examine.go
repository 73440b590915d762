package recovery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
		found.Versions = acceptances(*found.Database.Content)
	}
	found.Findings = diagnose(found, at, proof)
	return found, nil
}

// evidence is what the inspection of files showed beside what they say.
type evidence struct {
	dbFault  *SourceError // nil if the database is sound
	logFault *SourceError // nil if the log is sound
	inUse    string       // why the database may have changed while it was read; empty for no reason
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

// place is where the parts of an inspected thing lie.
type place struct {
	form      Form // empty for a file, whose size decides
	root      string
	db        string   // empty for none
	wal       string   // the folder that holds segments; empty for none
	walAsked  bool     // somebody named the folder of the log
	walEmpty  bool     // there is a folder for the log, or for one in the making, and nothing in it
	walBeside string   // a log in the data directory, and not where it is looked for; empty for none
	marks     []string // *.snap: written when a log exists
	received  []string // *.snap.db: sent by a leader
}

// locate finds out what lies at a path by the names of files alone.
func locate(path, walDir string) (place, error) {
	unreadable := func(why string, cause error) (place, error) {
		return place{}, &SourceError{Path: path, Fault: ErrUnreadable, Why: why, Cause: cause}
	}
	info, err := os.Stat(path)
	if err != nil {
		return unreadable("", err)
	}
	if info.Mode().IsRegular() {
		if walDir != "" {
			return unreadable("a file has no write-ahead log", nil)
		}
		return place{root: path, db: path}, nil
	}
	if !info.IsDir() {
		return unreadable("it is neither a file nor a directory", nil)
	}
	at := place{form: FormDirectory, root: path, walAsked: walDir != ""}
	member := filepath.Join(path, "member")
	if !isDir(member) && (isDir(filepath.Join(path, "snap")) || isDir(filepath.Join(path, "wal"))) {
		member = path // somebody gave the folder "member" itself
	}
	if walDir == "" {
		walDir = filepath.Join(member, "wal")
	}
	if err := at.list(filepath.Join(member, "snap"), walDir); err != nil {
		return unreadable("", err)
	}
	if at.wal == "" && member != path {
		at.walBeside = logBeside(path)
	}
	if at.db == "" && at.wal == "" {
		if alone := filepath.Join(path, "db"); isRegular(alone) {
			return place{form: FormDB, root: path, db: alone}, nil
		}
		return unreadable("it holds neither a database nor a write-ahead log of etcd", nil)
	}
	return at, nil
}

// logBeside finds a log in a folder of a data directory where etcd looks only if it is told; empty for none.
func logBeside(dataDir string) string {
	entries, err := os.ReadDir(dataDir)
	if err != nil {
		return ""
	}
	for _, entry := range entries {
		path := filepath.Join(dataDir, entry.Name())
		if segments, err := segmentsIn(path); entry.IsDir() && err == nil && len(segments) > 0 {
			return path
		}
	}
	return ""
}

// list looks at the folders of a member.
func (p *place) list(snap, wal string) error {
	if path := filepath.Join(snap, "db"); isRegular(path) {
		p.db = path
	}
	segments, err := segmentsIn(wal)
	if err != nil {
		return err
	}
	if len(segments) > 0 {
		p.wal = wal
	}
	p.walEmpty = p.wal == "" && (isDir(wal) || isDir(wal+".tmp"))
	entries, err := os.ReadDir(snap)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		switch name := entry.Name(); {
		case filepath.Ext(name) == ".snap":
			p.marks = append(p.marks, name)
		case filepath.Ext(name) == ".db" && filepath.Ext(name[:len(name)-len(".db")]) == ".snap":
			p.received = append(p.received, name)
		}
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isRegular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
