package recovery

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

// LapName names a part of a restore.
type LapName string

// The parts of a restore. The hash is checked while etcdutl is at work on a core of the same copy; all else comes in this order.
const (
	LapCopy    LapName = "copy"    // the private copy of the source
	LapHash    LapName = "hash"    // its digest, and the hash that a saved snapshot carries
	LapCore    LapName = "core"    // what etcdutl may look at or change is taken out of the copy
	LapRewrite LapName = "rewrite" // etcdutl removes the old members, and bumps the revision if it is told to
	LapLog     LapName = "log"     // etcdutl adds the new members and makes the log
	LapIndex   LapName = "index"   // etcdutl resets the index of the database
	LapMerge   LapName = "merge"   // what etcdutl made becomes part of the copy, which is now the first member's database
	LapTwins   LapName = "twins"   // the databases of the other members
	LapSync    LapName = "sync"    // what was made is put on disk and read back
	LapRename  LapName = "rename"  // the directories get their names
)

// Lap is a part of a restore. Laps may overlap.
type Lap struct {
	Name  LapName       `json:"name"`
	Start time.Time     `json:"start"`
	Took  time.Duration `json:"tookNanoseconds"`
	// Bytes is how much of databases it wrote, or read if it only reads; 0 where it is not about that.
	Bytes int64 `json:"bytes,omitempty"`
}

// laps collects the parts of one restore; safe for concurrent use.
type laps struct {
	mu  sync.Mutex
	all []Lap
}

func (l *laps) add(name LapName, start time.Time, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, Lap{Name: name, Start: start, Took: time.Since(start), Bytes: bytes})
}

// inOrder returns the laps in the order of their starts.
func (l *laps) inOrder() []Lap {
	l.mu.Lock()
	defer l.mu.Unlock()
	sorted := slices.Clone(l.all)
	slices.SortStableFunc(sorted, func(a, b Lap) int { return a.Start.Compare(b.Start) })
	return sorted
}

// etcdutlLog tells by what etcdutl logs how far it has come. Lines that a minor does not have join two laps in one.
type etcdutlLog struct {
	mu                            sync.Mutex
	begun, added, reopened, ended time.Time
}

// note takes the message of a line.
func (e *etcdutlLog) note(message string, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	first := func(moment *time.Time) {
		if moment.IsZero() {
			*moment = at
		}
	}
	switch {
	case message == "restoring snapshot":
		first(&e.begun)
	case strings.HasPrefix(message, "Opening db file"), strings.HasPrefix(message, "Trimming membership"): // one is of bbolt 1.4
		e.reopened = at
	case message == "added member":
		first(&e.added)
	case message == "restored snapshot":
		first(&e.ended)
	}
}

// hook is note for the linked library.
func (e *etcdutlLog) hook(entry zapcore.Entry) error {
	e.note(entry.Message, entry.Time)
	return nil
}

// Write is note for the standard error of the program, which logs in JSON and a line at a time.
func (e *etcdutlLog) Write(data []byte) (int, error) {
	now := time.Now()
	for line := range bytes.Lines(data) {
		var entry struct {
			Message string `json:"msg"`
		}
		if json.Unmarshal(line, &entry) == nil {
			e.note(entry.Message, now)
		}
	}
	return len(data), nil
}

// addTo adds what was seen. The copy that etcdutl makes of a core belongs to its first lap.
func (e *etcdutlLog) addTo(l *laps) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	from := e.begun
	for _, lap := range []struct {
		name LapName
		to   time.Time
	}{{LapRewrite, e.added}, {LapLog, e.reopened}, {LapIndex, e.ended}} {
		if from.IsZero() || lap.to.Before(from) {
			continue
		}
		l.all = append(l.all, Lap{Name: lap.name, Start: from, Took: lap.to.Sub(from)})
		from = lap.to
	}
}
