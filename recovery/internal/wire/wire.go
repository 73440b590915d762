// Package wire holds what a worker is asked and what it answers, as JSON.
package wire

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
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Request is what a parent asks of a worker: one JSON value on its standard input. Exactly one task is set.
type Request struct {
	Check   *CheckTask   `json:"check,omitempty"`
	Extract *ExtractTask `json:"extract,omitempty"`
	Restore *RestoreTask `json:"restore,omitempty"`
	Survey  *SurveyTask  `json:"survey,omitempty"`
	ReadLog *LogTask     `json:"readLog,omitempty"`
	Vet     *VetTask     `json:"vet,omitempty"`
	// Verify asks whether a source has the digest and the hash that it should have. No copy is made.
	Verify *CopyTask `json:"verify,omitempty"`
}

// Task names what is asked for.
func (r Request) Task() string {
	switch {
	case r.Check != nil:
		return recovery.TaskCheck
	case r.Extract != nil:
		return recovery.TaskExtract
	case r.Restore != nil:
		return recovery.TaskRestore
	case r.Survey != nil:
		return recovery.TaskSurvey
	case r.ReadLog != nil:
		return recovery.TaskLog
	case r.Vet != nil:
		return recovery.TaskVet
	default:
		return recovery.TaskVerify
	}
}

// CopyTask names a source and the private copy that the worker makes of it, or that another worker has made. The folder of the copy
// is the parent's, which removes it whatever becomes of the worker.
type CopyTask struct {
	Kind recovery.Kind `json:"kind"` // empty to let the size decide
	Path string        `json:"path"`
	Copy string        `json:"copy"`
	// Copied says that the copy is there already, so that the source is not read.
	Copied bool `json:"copied,omitempty"`
	// SHA256 is what the source must have; empty if that is not known yet.
	SHA256 string `json:"sha256,omitempty"`
	// SkipHashCheck leaves the hash of a recovery.SavedSnapshot unverified.
	SkipHashCheck bool `json:"skipHashCheck,omitempty"`
}

// CheckTask asks for the manifest of a source.
type CheckTask struct {
	Source CopyTask `json:"source"`
}

// ExtractTask asks for what a source holds. No copy is made.
type ExtractTask struct {
	Source       CopyTask `json:"source"`
	Scratch      string   `json:"scratch"` // a folder that the parent removes
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

// Coverer returns what hides the names of keys; they stay as they are where nobody asked for it.
func (t ExtractTask) Coverer() func(ledger.Key) ledger.Key {
	if !t.Cover {
		return func(key ledger.Key) ledger.Key { return key }
	}
	return ledger.Coverer(t.DigestKey)
}

// RestoreTask asks for the members of one plan, restored from one source.
type RestoreTask struct {
	Source         CopyTask       `json:"source"`
	InitialCluster string         `json:"initialCluster"`
	Token          identity.Token `json:"token"`
	Etcdutl        string         `json:"etcdutl,omitempty"` // see Worker
	BumpRevision   uint64         `json:"bumpRevision,omitempty"`
	Members        []MemberTask   `json:"members"` // at least one
}

// MemberTask is one member of a RestoreTask.
type MemberTask struct {
	Name    string `json:"name"`
	PeerURL string `json:"peerURL"`
	DataDir string `json:"dataDir"`          // in a folder that is this member's alone
	WALDir  string `json:"walDir,omitempty"` // of a log that lies apart; empty for its place in DataDir
}

// LogDir is where the restored member's write-ahead log lies.
func (m MemberTask) LogDir() string {
	if m.WALDir != "" {
		return m.WALDir
	}
	return filepath.Join(m.DataDir, "member", "wal")
}

// SurveyTask asks for everything that a database says.
type SurveyTask struct {
	Source CopyTask `json:"source"`
}

// LogTask asks what a write-ahead log says.
type LogTask struct {
	Dir  string `json:"dir"`
	Copy string `json:"copy"` // the folder to make for a private copy
	// Applied is the consistent index of the backend that the log belongs to; 0 for none.
	Applied uint64 `json:"applied"`
}

// VetTask names data directories to look at in place.
type VetTask struct {
	Dirs []VetDir `json:"dirs"`
}

// VetDir is one of them.
type VetDir struct {
	Dir    string `json:"dir"`
	WALDir string `json:"walDir,omitempty"` // of a log that lies apart
}

// Response is what a worker says at its end: one JSON value on its standard output. A worker that dies says nothing.
type Response struct {
	Source   *recovery.Source      `json:"source,omitempty"`
	Contents *recovery.Contents    `json:"contents,omitempty"`
	Restored *Rebuilt              `json:"restored,omitempty"`
	Database *recovery.Database    `json:"database,omitempty"` // may stand beside a failure, and then lacks its content
	Log      *recovery.Log         `json:"log,omitempty"`      // likewise
	Vetted   []recovery.Inspection `json:"vetted,omitempty"`   // in the order of the directories
	Failure  *Failure              `json:"failure,omitempty"`
	// PeakRSSBytes is the most memory that the worker ever had resident, mapped file pages included; 0 where the operating
	// system does not say.
	PeakRSSBytes int64         `json:"peakRSSBytes"`
	OwnBytes     int64         `json:"ownBytes"` // that the worker's Go runtime ever took from the operating system
	Took         time.Duration `json:"took"`
}

// Rebuilt answers a RestoreTask.
type Rebuilt struct {
	SHA256  string          `json:"sha256"`
	Members []RebuiltMember `json:"members"` // in the order of the task
	Laps    []recovery.Lap  `json:"laps"`
	// Etcdutl is the version of what restored, ToolRSSBytes the peak of its memory if it was a program of its own.
	Etcdutl      string `json:"etcdutl"`
	ToolRSSBytes int64  `json:"toolRSSBytes,omitempty"`
}

// RebuiltMember is who a member will be, and where it begins.
type RebuiltMember struct {
	MemberID  identity.MemberID  `json:"memberID"`
	ClusterID identity.ClusterID `json:"clusterID"`
	Revision  int64              `json:"revision"` // with which a server begins on it
	Compacted int64              `json:"compacted"`
}

// Failure is an error on its way from the worker to the parent.
type Failure struct {
	Path   string `json:"path,omitempty"`
	Fault  string `json:"fault,omitempty"` // a name of FaultNames; empty for every other error
	Why    string `json:"why"`
	SHA256 string `json:"sha256,omitempty"` // of the source that was found instead of the one that was asked for
	// NoSpace is set if a file system was full.
	NoSpace bool                  `json:"noSpace,omitempty"`
	Death   *recovery.WorkerError `json:"death,omitempty"` // of an etcdutl program that the worker ran, or one that it survived
}

// FailureOf is the worker's side of err.
func FailureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	var died *recovery.WorkerError
	if errors.As(err, &died) {
		return &Failure{Why: err.Error(), Death: died}
	}
	var changed *ChangedError
	if errors.As(err, &changed) {
		return &Failure{Path: changed.Path, Fault: recovery.FaultName(recovery.ErrSourceChanged), Why: changed.why(), SHA256: changed.Found}
	}
	var bad *recovery.SourceError
	if errors.As(err, &bad) {
		return &Failure{Path: bad.Path, Fault: recovery.FaultName(bad.Fault), Why: bad.Reason()}
	}
	return &Failure{Why: err.Error(), NoSpace: errors.Is(err, syscall.ENOSPC)}
}

// Err is the parent's side of FailureOf.
func (f *Failure) Err() error {
	if f == nil {
		return nil
	}
	if f.Death != nil {
		return f.Death
	}
	if fault, known := recovery.FaultNames()[f.Fault]; known {
		return &recovery.SourceError{Path: f.Path, Fault: fault, Why: f.Why}
	}
	if f.NoSpace {
		return fmt.Errorf("%w: %s; free some, and try again", recovery.ErrNoSpace, f.Why)
	}
	return errors.New(f.Why)
}

// ChangedError means that the source has another digest than the one that was asked for.
type ChangedError struct{ Path, Want, Found string }

// Error names the file and both digests.
func (e *ChangedError) Error() string {
	return fmt.Sprintf("read %s: %v: %s", e.Path, recovery.ErrSourceChanged, e.why())
}

// Unwrap returns recovery.ErrSourceChanged.
func (e *ChangedError) Unwrap() error { return recovery.ErrSourceChanged }

func (e *ChangedError) why() string {
	return fmt.Sprintf("its SHA-256 was %s and is %s", e.Want, e.Found)
}

// maxMessageBytes bounds both messages; they hold a handful of paths and numbers.
const maxMessageBytes = 1 << 20

// Decode reads one of both messages.
func Decode(in io.Reader, message any) error {
	return json.NewDecoder(io.LimitReader(in, maxMessageBytes)).Decode(message)
}
