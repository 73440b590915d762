package serve

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// laps collects the parts of one restore; safe for concurrent use.
type laps struct {
	mu  sync.Mutex
	all []recovery.Lap
}

func (l *laps) add(name recovery.LapName, start time.Time, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, recovery.Lap{Name: name, Start: start, Took: time.Since(start), Bytes: bytes})
}

// inOrder returns the laps in the order of their starts.
func (l *laps) inOrder() []recovery.Lap {
	l.mu.Lock()
	defer l.mu.Unlock()
	sorted := slices.Clone(l.all)
	slices.SortStableFunc(sorted, func(a, b recovery.Lap) int { return a.Start.Compare(b.Start) })
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
		name recovery.LapName
		to   time.Time
	}{{recovery.LapRewrite, e.added}, {recovery.LapLog, e.reopened}, {recovery.LapIndex, e.ended}} {
		if from.IsZero() || lap.to.Before(from) {
			continue
		}
		l.all = append(l.all, recovery.Lap{Name: lap.name, Start: from, Took: lap.to.Sub(from)})
		from = lap.to
	}
}
