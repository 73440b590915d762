package drill

import (
	"io"
	"os"
	"path/filepath"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// folder is a drill folder: the names of everything in it. Folders are 0700 and files 0600.
type folder string

func (f folder) manifest() string { return filepath.Join(string(f), "drill.json") }
func (f folder) events() string   { return filepath.Join(string(f), "events.jsonl") }
func (f folder) ledger() string   { return filepath.Join(string(f), "ledger.jsonl") }
func (f folder) lost() string     { return filepath.Join(string(f), "lost.jsonl") }
func (f folder) plan() string     { return filepath.Join(string(f), "plan.txt") }
func (f folder) evidence() string { return filepath.Join(string(f), "evidence.json") }
func (f folder) verdict() string  { return filepath.Join(string(f), "verdict.json") }
func (f folder) report() string   { return filepath.Join(string(f), "report.json") }

// page is the report for people, junit the one for the pipelines that read JUnit's XML.
func (f folder) page() string  { return filepath.Join(string(f), "report.html") }
func (f folder) junit() string { return filepath.Join(string(f), "junit.xml") }

func (f folder) comparison() string { return filepath.Join(string(f), "comparison.json") }

// source describes the backup; backup is the file itself, a copy of the cluster's data that does not stay for ever.
func (f folder) source() string { return filepath.Join(string(f), "source", "source.json") }
func (f folder) backup() string { return filepath.Join(string(f), "source", "backup.db") }

// shows names what a cluster or a backup shows: the source's own is kept under "source", a member's under its name.
func (f folder) shows(who string) (history, keyspace string) {
	dir := filepath.Join(string(f), "members", who)
	if who == sourceName {
		dir = filepath.Join(string(f), "source")
	}
	return filepath.Join(dir, "history.jsonl"), filepath.Join(dir, "keyspace.jsonl")
}

// leasesOf and state name the rest of it: what is not a key.
func (f folder) leasesOf(who string) string {
	history, _ := f.shows(who)
	return filepath.Join(filepath.Dir(history), "leases.jsonl")
}

func (f folder) state(who string) string {
	history, _ := f.shows(who)
	return filepath.Join(filepath.Dir(history), "state.json")
}

func (f folder) etcdLog(node string) string {
	return filepath.Join(string(f), "members", node, "etcd.log")
}

// work is the run's own folder: data directories, staging. It goes with the drill unless it is to be kept.
func (f folder) work() string { return filepath.Join(string(f), "work") }

const sourceName = ""

// opener returns a function that opens the file anew for every reading of a stream.
func opener(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(path) }
}

func (f folder) history(who string) ledger.Stream[ledger.Record] {
	history, _ := f.shows(who)
	return ledger.ReadRecords(opener(history))
}

func (f folder) leases(who string) ledger.Stream[ledger.Lease] {
	return ledger.ReadLeases(opener(f.leasesOf(who)))
}

func (f folder) keyspace(who string) ledger.Stream[ledger.Pair] {
	_, keyspace := f.shows(who)
	return ledger.ReadPairs(opener(keyspace))
}

// create makes a file of the drill folder, and the folder it lies in.
func create(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
}
