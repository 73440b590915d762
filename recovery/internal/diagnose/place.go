package diagnose

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
)

// Evidence is what the inspection of files showed beside what they say.
type Evidence struct {
	DBFault  *recovery.SourceError // nil if the database is sound
	LogFault *recovery.SourceError // nil if the log is sound
	InUse    string                // why the database may have changed while it was read; empty for no reason
}

// Place is where the parts of an inspected thing lie.
type Place struct {
	Form      recovery.Form // empty for a file, whose size decides
	root      string
	DB        string   // empty for none
	WAL       string   // the folder that holds segments; empty for none
	walAsked  bool     // somebody named the folder of the log
	walEmpty  bool     // there is a folder for the log, or for one in the making, and nothing in it
	walBeside string   // a log in the data directory, and not where it is looked for; empty for none
	marks     []string // *.snap: written when a log exists
	received  []string // *.snap.db: sent by a leader
}

// Locate finds out what lies at a path by the names of files alone.
func Locate(path, walDir string) (Place, error) {
	unreadable := func(why string, cause error) (Place, error) {
		return Place{}, &recovery.SourceError{Path: path, Fault: recovery.ErrUnreadable, Why: why, Cause: cause}
	}
	info, err := os.Stat(path)
	if err != nil {
		return unreadable("", err)
	}
	if info.Mode().IsRegular() {
		if walDir != "" {
			return unreadable("a file has no write-ahead log", nil)
		}
		return Place{root: path, DB: path}, nil
	}
	if !info.IsDir() {
		return unreadable("it is neither a file nor a directory", nil)
	}
	at := Place{Form: recovery.FormDirectory, root: path, walAsked: walDir != ""}
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
	if at.WAL == "" && member != path {
		at.walBeside = logBeside(path)
	}
	if at.DB == "" && at.WAL == "" {
		if alone := filepath.Join(path, "db"); isRegular(alone) {
			return Place{Form: recovery.FormDB, root: path, DB: alone}, nil
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
		if segments, err := blob.SegmentsIn(path); entry.IsDir() && err == nil && len(segments) > 0 {
			return path
		}
	}
	return ""
}

// list looks at the folders of a member.
func (p *Place) list(snap, wal string) error {
	if path := filepath.Join(snap, "db"); isRegular(path) {
		p.DB = path
	}
	segments, err := blob.SegmentsIn(wal)
	if err != nil {
		return err
	}
	if len(segments) > 0 {
		p.WAL = wal
	}
	p.walEmpty = p.WAL == "" && (isDir(wal) || isDir(wal+".tmp"))
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
