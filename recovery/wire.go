package recovery

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"syscall"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// request is what a parent asks of a worker: one JSON value on its standard input. Exactly one task is set.
type request struct {
	Check   *checkTask   `json:"check,omitempty"`
	Extract *extractTask `json:"extract,omitempty"`
	Restore *restoreTask `json:"restore,omitempty"`
	Survey  *surveyTask  `json:"survey,omitempty"`
	ReadLog *logTask     `json:"readLog,omitempty"`
	Vet     *vetTask     `json:"vet,omitempty"`
	// Verify asks whether a source has the digest and the hash that it should have. No copy is made.
	Verify *copyTask `json:"verify,omitempty"`
}

// task names what is asked for.
func (r request) task() string {
	switch {
	case r.Check != nil:
		return TaskCheck
	case r.Extract != nil:
		return TaskExtract
	case r.Restore != nil:
		return TaskRestore
	case r.Survey != nil:
		return TaskSurvey
	case r.ReadLog != nil:
		return TaskLog
	case r.Vet != nil:
		return TaskVet
	default:
		return TaskVerify
	}
}

// copyTask names a source and the private copy that the worker makes of it. The folder of the copy is the parent's, which
// removes it whatever becomes of the worker.
type copyTask struct {
	Kind Kind   `json:"kind"` // empty to let the size decide
	Path string `json:"path"`
	Copy string `json:"copy"`
	// SHA256 is what the source must have; empty if that is not known yet.
	SHA256 string `json:"sha256,omitempty"`
	// SkipHashCheck leaves the hash of a SavedSnapshot unverified.
	SkipHashCheck bool `json:"skipHashCheck,omitempty"`
}

type checkTask struct {
	Source copyTask `json:"source"`
}

type extractTask struct {
	Source       copyTask `json:"source"`
	DigestKey    []byte   `json:"digestKey"`
	History      string   `json:"history"`
	Keyspace     string   `json:"keyspace"`
	Leases       string   `json:"leases"`
	State        string   `json:"state"`
	RestorePoint int64    `json:"restorePoint"`
	Compacted    int64    `json:"compacted"`
	BumpedTo     int64    `json:"bumpedTo,omitempty"` // 0 for no bump
	Beat         []byte   `json:"beat,omitempty"`     // a key
	Cover        bool     `json:"cover,omitempty"`
}

// coverer returns what hides the names of keys; they stay as they are where nobody asked for it.
func (t extractTask) coverer() func(ledger.Key) ledger.Key {
	if !t.Cover {
		return func(key ledger.Key) ledger.Key { return key }
	}
	return ledger.Coverer(t.DigestKey)
}

// restoreTask asks for the members of one plan, restored from one source.
type restoreTask struct {
	Source         copyTask       `json:"source"`
	InitialCluster string         `json:"initialCluster"`
	Token          identity.Token `json:"token"`
	Etcdutl        string         `json:"etcdutl,omitempty"` // see Worker
	BumpRevision   uint64         `json:"bumpRevision,omitempty"`
	Members        []memberTask   `json:"members"` // at least one
}

type memberTask struct {
	Name    string `json:"name"`
	PeerURL string `json:"peerURL"`
	DataDir string `json:"dataDir"`          // in a folder that is this member's alone
	WALDir  string `json:"walDir,omitempty"` // of a log that lies apart; empty for its place in DataDir
}

// logDir is where the restored member's write-ahead log lies.
func (m memberTask) logDir() string {
	if m.WALDir != "" {
		return m.WALDir
	}
	return filepath.Join(m.DataDir, "member", "wal")
}

// surveyTask asks for everything that a database says.
type surveyTask struct {
	Source copyTask `json:"source"`
}

// logTask asks what a write-ahead log says.
type logTask struct {
	Dir  string `json:"dir"`
	Copy string `json:"copy"` // the folder to make for a private copy
	// Applied is the consistent index of the backend that the log belongs to; 0 for none.
	Applied uint64 `json:"applied"`
}

// vetTask names data directories to look at in place.
type vetTask struct {
	Dirs []vetDir `json:"dirs"`
}

type vetDir struct {
	Dir    string `json:"dir"`
	WALDir string `json:"walDir,omitempty"` // of a log that lies apart
}

// response is what a worker says at its end: one JSON value on its standard output. A worker that dies says nothing.
type response struct {
	Source   *Source      `json:"source,omitempty"`
	Contents *Contents    `json:"contents,omitempty"`
	Restored *rebuilt     `json:"restored,omitempty"`
	Database *Database    `json:"database,omitempty"` // may stand beside a failure, and then lacks its content
	Log      *Log         `json:"log,omitempty"`      // likewise
	Vetted   []Inspection `json:"vetted,omitempty"`   // in the order of the directories
	Failure  *taskFailure `json:"failure,omitempty"`
	// PeakRSSBytes is the most memory that the worker ever had resident, mapped file pages included; 0 where the operating
	// system does not say.
	PeakRSSBytes int64         `json:"peakRSSBytes"`
	OwnBytes     int64         `json:"ownBytes"` // that the worker's Go runtime ever took from the operating system
	Took         time.Duration `json:"took"`
}

type rebuilt struct {
	SHA256  string          `json:"sha256"`
	Members []rebuiltMember `json:"members"` // in the order of the task
	Laps    []Lap           `json:"laps"`
	// Etcdutl is the version of what restored, ToolRSSBytes the peak of its memory if it was a program of its own.
	Etcdutl      string `json:"etcdutl"`
	ToolRSSBytes int64  `json:"toolRSSBytes,omitempty"`
}

type rebuiltMember struct {
	MemberID  identity.MemberID  `json:"memberID"`
	ClusterID identity.ClusterID `json:"clusterID"`
	Revision  int64              `json:"revision"` // with which a server begins on it
	Compacted int64              `json:"compacted"`
}

// taskFailure is an error on its way from the worker to the parent.
type taskFailure struct {
	Path   string `json:"path,omitempty"`
	Fault  string `json:"fault,omitempty"` // a name of FaultNames; empty for every other error
	Why    string `json:"why"`
	SHA256 string `json:"sha256,omitempty"` // of the source that was found instead of the one that was asked for
	// NoSpace is set if a file system was full.
	NoSpace bool         `json:"noSpace,omitempty"`
	Death   *WorkerError `json:"death,omitempty"` // of an etcdutl program that the worker ran, or one that it survived
}

// failureOf is the worker's side of err.
func failureOf(err error) *taskFailure {
	if err == nil {
		return nil
	}
	var died *WorkerError
	if errors.As(err, &died) {
		return &taskFailure{Why: err.Error(), Death: died}
	}
	var changed *changedError
	if errors.As(err, &changed) {
		return &taskFailure{Path: changed.path, Fault: FaultName(ErrSourceChanged), Why: changed.why(), SHA256: changed.found}
	}
	var bad *SourceError
	if errors.As(err, &bad) {
		return &taskFailure{Path: bad.Path, Fault: FaultName(bad.Fault), Why: bad.Reason()}
	}
	return &taskFailure{Why: err.Error(), NoSpace: errors.Is(err, syscall.ENOSPC)}
}

// err is the parent's side of failureOf.
func (f *taskFailure) err() error {
	if f == nil {
		return nil
	}
	if f.Death != nil {
		return f.Death
	}
	if fault, known := FaultNames()[f.Fault]; known {
		return &SourceError{Path: f.Path, Fault: fault, Why: f.Why}
	}
	if f.NoSpace {
		return fmt.Errorf("%w: %s; free some, and try again", ErrNoSpace, f.Why)
	}
	return errors.New(f.Why)
}

// changedError means that the source has another digest than the one that was asked for.
type changedError struct{ path, want, found string }

// Error names the file and both digests.
func (e *changedError) Error() string {
	return fmt.Sprintf("read %s: %v: %s", e.path, ErrSourceChanged, e.why())
}

// Unwrap returns ErrSourceChanged.
func (e *changedError) Unwrap() error { return ErrSourceChanged }

func (e *changedError) why() string {
	return fmt.Sprintf("its SHA-256 was %s and is %s", e.want, e.found)
}

// maxMessageBytes bounds both messages; they hold a handful of paths and numbers.
const maxMessageBytes = 1 << 20

// decodeMessage reads one of both messages.
func decodeMessage(in io.Reader, message any) error {
	return json.NewDecoder(io.LimitReader(in, maxMessageBytes)).Decode(message)
}
