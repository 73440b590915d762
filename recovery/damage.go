package recovery

import (
	"errors"
	"fmt"
	"strings"
)

// What offline.Check finds wrong with a source. All but ErrUnreadable prove that the source is bad, see ProvedBad.
var (
	// ErrUnreadable means that the file could not be opened or read; nothing is proved about its content.
	ErrUnreadable = errors.New("source is unreadable")
	// ErrEmpty means that the file holds no bytes.
	ErrEmpty = errors.New("source is empty")
	// ErrNoHash means that a SavedSnapshot has no integrity hash: its size modulo 512 is not 32. That is how etcd itself
	// tells (hasChecksum in etcdutl/snapshot/v3_snapshot.go).
	ErrNoHash = errors.New("snapshot carries no integrity hash")
	// ErrBadHash means that the integrity hash of a SavedSnapshot is not that of its content.
	ErrBadHash = errors.New("integrity hash does not match")
	// ErrNotBolt means that neither of the two meta pages of a bbolt file is valid.
	ErrNotBolt = errors.New("not a bbolt database")
	// ErrMisaligned means that the size is not a whole number of pages.
	ErrMisaligned = errors.New("size is not a whole number of pages")
	// ErrTruncated means that the file ends before the last page that its meta page knows of.
	ErrTruncated = errors.New("source is truncated")
	// ErrBadStructure means that the pages, buckets or records do not make sense, up to ending the process that read them.
	ErrBadStructure = errors.New("source is structurally damaged")
	// ErrBadLog means that a write-ahead log cannot be read to its end, by offline.Inspect or by etcd. A last record that was cut off is
	// no damage.
	ErrBadLog = errors.New("write-ahead log is damaged")
)

// ErrNoSpace means that a file system is too small for what is to be made on it.
var ErrNoSpace = errors.New("too little free space")

// ErrSourceChanged means that the file is no longer the one that was checked.
var ErrSourceChanged = errors.New("source changed after it was checked")

// SourceError tells what is wrong with one source.
type SourceError struct {
	Path  string
	Fault error  // one of the sentinels of this package
	Why   string // the observation behind it
	Cause error  // nil, or what lies below: an error of the operating system, a *WorkerError
}

// Error says what was tried, why it failed, and what to do next.
func (e *SourceError) Error() string {
	text := fmt.Sprintf("check source %s: %v", e.Path, e.Fault)
	if reason := e.Reason(); reason != "" {
		text += ": " + reason
	}
	return text + "; " + e.Next()
}

// Unwrap returns the fault and the cause.
func (e *SourceError) Unwrap() []error { return []error{e.Fault, e.Cause} }

// Reason says why, without the path, the fault and what to do; empty if there is nothing to say beyond the fault.
func (e *SourceError) Reason() string {
	if e.Cause == nil {
		return e.Why
	}
	cause := strings.TrimPrefix(e.Cause.Error(), e.Fault.Error()+": ") // which it may wrap
	if e.Why == "" {
		return cause
	}
	return e.Why + ": " + cause
}

// Next says what to do about it.
func (e *SourceError) Next() string {
	//nolint:errorlint // a fault is one of the sentinels, never wrapped
	switch e.Fault {
	case ErrUnreadable:
		return "see that the file exists, is a regular file and may be read, then try again"
	case ErrNoHash:
		return "save again, or treat the file as a db copy if it is one"
	case ErrMisaligned:
		return "check it as a snapshot if it is one, otherwise use another backup"
	case ErrSourceChanged:
		return "check it again and make a new plan"
	case ErrEndedEarly:
		return "see whether the program before the pipe failed (set -o pipefail), and try again"
	case ErrInUse:
		return "wait until it is complete; of a member that runs, save a snapshot"
	case ErrTooLarge:
		return "allow more with --max-unpacked if you trust it"
	case ErrWrongArchive:
		return "an archive must hold one backup and nothing else"
	case ErrPoisoned:
		return "see etcd-drill inspect for what it is"
	default:
		return "use another backup, or the db file of another member"
	}
}

// ProvedBad reports whether the error proves that a source is damaged, as opposed to one that could not be examined.
func ProvedBad(err error) bool {
	for _, fault := range []error{
		ErrEmpty, ErrNoHash, ErrBadHash, ErrNotBolt, ErrMisaligned, ErrTruncated, ErrBadStructure, ErrBadLog, ErrBadArchive,
	} {
		if errors.Is(err, fault) {
			return true
		}
	}
	return false
}

// FaultNames are the words for the faults of sources, by which inspections and workers name them.
func FaultNames() map[string]error {
	return map[string]error{
		"unreadable": ErrUnreadable, "empty": ErrEmpty, "no-hash": ErrNoHash, "bad-hash": ErrBadHash, "not-bolt": ErrNotBolt,
		"misaligned": ErrMisaligned, "truncated": ErrTruncated, "bad-structure": ErrBadStructure,
		"damaged-log":    ErrBadLog,
		"source-changed": ErrSourceChanged,
	}
}

// FaultName is the word for a fault; empty for what is none.
func FaultName(fault error) string {
	for name, known := range FaultNames() {
		if errors.Is(fault, known) {
			return name
		}
	}
	return ""
}

// Why a backup is not taken as it was handed over. Of these only ErrBadArchive proves that it is bad.
var (
	// ErrBadArchive means that what a backup is packed in does not match its own checksums, or ends too early.
	ErrBadArchive = errors.New("archive is damaged")
	// ErrWrongArchive means that an archive holds something else than one backup: no file, two, one whose path leads out of it.
	ErrWrongArchive = errors.New("archive does not hold exactly one backup")
	// ErrTooLarge means that a backup unpacks to more than was allowed.
	ErrTooLarge = errors.New("backup is larger than allowed")
	// ErrEndedEarly means that a stream ended before the backup in it did. That is no proof against the backup: whoever wrote into
	// the pipe may have failed.
	ErrEndedEarly = errors.New("input ended early")
	// ErrInUse means that a backup is still being written, or is the database of a member that runs.
	ErrInUse = errors.New("source is being written to")
	// ErrPoisoned means that a directory cannot be restored from, although its database may be sound.
	ErrPoisoned = errors.New("directory is no source")
)
