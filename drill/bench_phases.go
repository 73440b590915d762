package drill

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/bench"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// phases tells from the event log what took how long, with what workers took and members said of themselves.
func (t *trial) phases(ctx context.Context, work *Drill) (phases []bench.Phase, total time.Duration, err error) {
	begin := work.events.at(EventSaving)
	if begin.IsZero() {
		begin = work.events.at(EventPlanned)
	}
	written := work.events.at(EventWritten)
	if begin.IsZero() || written.IsZero() {
		return nil, 0, errors.New("the recovery has no beginning, or no first write")
	}
	for _, bounds := range []struct {
		name string
		from []EventName // the first of these that happened
		to   EventName
	}{
		{bench.PhaseFetch, []EventName{EventSaving}, EventFetched},
		{bench.PhaseCheck, []EventName{EventFetched}, EventChecked},
		{bench.PhaseRestore, []EventName{EventPlanned}, EventRestored},
		{bench.PhasePlace, []EventName{EventRestored}, EventPlaced},
		{bench.PhaseStart, []EventName{EventPlaced, EventPlanned}, EventStarted},
		{bench.PhaseElect, []EventName{EventStarted}, EventElected},
		{bench.PhaseFirstRead, []EventName{EventElected}, EventRead},
		{bench.PhaseFirstWrite, []EventName{EventRead}, EventWritten},
		{bench.PhaseAgree, []EventName{EventWritten}, EventAgreed},
	} {
		var from time.Time
		for _, name := range bounds.from {
			if from.IsZero() {
				from = work.events.at(name)
			}
		}
		if to := work.events.at(bounds.to); !from.IsZero() && !to.IsZero() {
			phase := bench.Phase{Name: bounds.name, After: from.Sub(begin), Took: to.Sub(from)}
			t.addEffort(&phase)
			phases = append(phases, phase)
		}
	}
	phases = append(phases, lapPhases(t.reborn.Restored.Laps, begin)...)
	index, err := slowestIndex(ctx, t.began(), begin)
	if err == nil && index.Took > 0 {
		phases = append(phases, index)
	}
	if err == nil {
		phases, err = t.addMembers(ctx, phases, work, begin)
	}
	return phases, written.Sub(begin), err
}

// addMembers adds what the members have taken until they agreed, where that can be told.
func (t *trial) addMembers(ctx context.Context, phases []bench.Phase, work *Drill, begin time.Time) ([]bench.Phase, error) {
	started, agreed := work.events.at(EventStarted), work.events.at(EventAgreed)
	phase := bench.Phase{Name: bench.PhaseMembers, After: started.Sub(begin), Took: agreed.Sub(started)}
	for _, m := range t.reborn.Members() {
		usage, err := m.Usage(ctx)
		if errors.Is(err, harness.ErrUnsupported) {
			return phases, nil
		}
		if err != nil {
			return nil, err
		}
		phase.CPU += usage.CPU
		phase.PeakRSSBytes = max(phase.PeakRSSBytes, usage.PeakRSSBytes)
	}
	return append(phases, phase), nil
}

// addEffort adds what the workers of a phase took, and how much of databases it handled.
func (t *trial) addEffort(phase *bench.Phase) {
	task := map[string]string{
		bench.PhaseCheck: recovery.TaskCheck, bench.PhaseRestore: recovery.TaskRestore, bench.PhasePlace: recovery.TaskVet,
	}[phase.Name]
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, effort := range t.efforts {
		if task != "" && effort.Task == task {
			phase.CPU += effort.CPU
			phase.PeakRSSBytes = max(phase.PeakRSSBytes, effort.PeakRSSBytes)
			phase.OwnBytes = max(phase.OwnBytes, effort.OwnBytes)
		}
	}
	switch phase.Name {
	case bench.PhaseFetch:
		phase.Bytes, phase.CPU = t.set.SizeBytes, t.fetchCPU
	case bench.PhaseCheck:
		phase.Bytes = t.set.SizeBytes
	case bench.PhaseRestore:
		phase.Bytes = t.set.SizeBytes * int64(len(t.reborn.Restored.Members))
	}
}

// lapPhases are the parts of the restore; what was done for one member after the other is added up.
func lapPhases(laps []recovery.Lap, begin time.Time) []bench.Phase {
	var phases []bench.Phase
	for _, lap := range laps {
		name := bench.PhaseRestore + "-" + string(lap.Name)
		i := slices.IndexFunc(phases, func(p bench.Phase) bool { return p.Name == name })
		if i < 0 {
			i = len(phases)
			phases = append(phases, bench.Phase{Name: name, After: lap.Start.Sub(begin)})
		}
		phases[i].Took += lap.Took
		phases[i].Bytes += lap.Bytes
	}
	return phases
}

// began are the members that began with data; those that joined received theirs, and built an index then.
func (t *trial) began() []*harness.Member {
	return slices.DeleteFunc(t.reborn.Members(), func(m *harness.Member) bool {
		return !slices.ContainsFunc(t.followed.Members, func(plan recovery.MemberPlan) bool { return plan.Name == m.Name() })
	})
}

// slowestIndex is the longest that a member took to build its index: from the opened database (server/storage/backend.go) to the
// restored store (server/storage/mvcc/kvstore.go), by what it logged.
func slowestIndex(ctx context.Context, members []*harness.Member, begin time.Time) (bench.Phase, error) {
	slowest := bench.Phase{Name: bench.PhaseIndex}
	for _, m := range members {
		opened, restored, err := indexTimes(ctx, m)
		if err != nil {
			return bench.Phase{}, fmt.Errorf("read when %s built its index: %w", m.Name(), err)
		}
		if took := restored.Sub(opened); !opened.IsZero() && took > slowest.Took {
			slowest.Took, slowest.After = took, opened.Sub(begin)
		}
	}
	return slowest, nil
}

// etcdTime is how etcd writes the time of a line (client/pkg/logutil/zap.go).
const etcdTime = "2006-01-02T15:04:05.999999Z0700"

// maxLogLine bounds a line of etcd's log; a longer one is of no interest.
const maxLogLine = 1 << 20

func indexTimes(ctx context.Context, m *harness.Member) (opened, restored time.Time, err error) {
	logs, err := m.Logs(ctx)
	if err != nil {
		return opened, restored, err
	}
	defer logs.Close() //nolint:errcheck // reading is all that was wanted
	lines := bufio.NewScanner(logs)
	lines.Buffer(nil, maxLogLine)
	for lines.Scan() {
		var line struct {
			At      string `json:"ts"`
			Message string `json:"msg"`
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue // not everything that a node prints is a line of its log
		}
		at, err := time.Parse(etcdTime, line.At)
		if err != nil {
			continue
		}
		switch line.Message {
		case "opened backend db":
			opened = at
		case "kvstore restored":
			if restored = at; !opened.IsZero() {
				return opened, restored, nil
			}
		}
	}
	return opened, restored, lines.Err()
}
