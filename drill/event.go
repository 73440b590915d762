package drill

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// EventName names a moment in a drill. The boundaries of all phases are such moments, so that the parts of the recovery
// time add up to the whole.
type EventName string

// The moments of a drill, in their usual order.
const (
	EventOpened         EventName = "opened"
	EventSwept          EventName = "swept"         // dead runs were cleaned up
	EventPrepared       EventName = "prepared"      // etcd is available
	EventStarting       EventName = "starting"      // the first cluster's members are being started
	EventReady          EventName = "ready"         // every member answers
	EventLoading        EventName = "loading"       // the load began
	EventWatching       EventName = "watching"      // clients watch that will live through the disaster
	EventFilled         EventName = "filled"        // as many writes as asked for were acknowledged
	EventSaving         EventName = "saving"        // a snapshot or copy is being fetched
	EventFetched        EventName = "fetched"       // the source lies in the drill folder
	EventChecked        EventName = "checked"       // the source was read offline
	EventSignalled      EventName = "signalled"     // the first victim is about to be hit
	EventStruck         EventName = "struck"        // the effect was seen on every victim
	EventObserved       EventName = "observed"      // the loss of quorum was proved, or disproved
	EventLoadStopped    EventName = "load-stopped"  // the ledger is closed
	EventStopping       EventName = "stopping"      // survivors are being stopped
	EventAllDown        EventName = "all-down"      // no member of the old cluster runs
	EventPlanned        EventName = "planned"       // the plan exists; nothing was restored yet
	EventRestored       EventName = "restored"      // every member's directory is prepared
	EventPlaced         EventName = "placed"        // the directories are vetted and on the members' disks
	EventStarted        EventName = "started"       // the new cluster's processes run
	EventElected        EventName = "elected"       // a member of the new cluster knows a leader
	EventRead           EventName = "first-read"    // first linearizable read
	EventDisarmed       EventName = "disarmed"      // alarms that the source carried were ended on the new cluster
	EventWritten        EventName = "first-write"   // first acknowledged write
	EventAgreed         EventName = "agreed"        // every member shows that write
	EventWatched        EventName = "watched"       // what the watching clients were told of is known
	EventFencing        EventName = "fencing"       // the old member is being started beside the new cluster
	EventFenced         EventName = "fenced"        // the observation of the fence ended
	EventReadBack       EventName = "read-back"     // every member's history and keyspace were read
	EventJudged         EventName = "judged"        // the verdict is written
	EventJoined         EventName = "joined"        // a learner joined a living cluster, or was promoted
	EventCaughtUp       EventName = "caught-up"     // a member that was added is ready; the text is its name
	EventReplaced       EventName = "replaced"      // the lost members were replaced in the living cluster
	EventHealed         EventName = "healed"        // an outage was undone without a restore
	EventClosed         EventName = "closed"        // nothing of the drill is left outside its folder
	EventPreparingFence EventName = "setting-aside" // a directory is copied before its owner is wiped
)

// Event is one line of events.jsonl.
type Event struct {
	At   time.Time `json:"at"`
	Name EventName `json:"event"`
	// Branch names the way back that is being tried, where several are compared.
	Branch string `json:"branch,omitempty"`
	// Text says for people what happened; it may be empty.
	Text string `json:"text,omitempty"`
}

// events is the drill's one event log: every event is handed to the operating system before the drill goes on, so that a
// killed harness leaves the phase it died in.
type events struct {
	mu     sync.Mutex
	out    io.Writer
	notify func(Event)
	all    []Event
}

func (e *events) emit(name EventName, format string, args ...any) error {
	return e.emitAt(time.Now(), name, format, args...)
}

func (e *events) emitAt(at time.Time, name EventName, format string, args ...any) error {
	event := Event{At: at, Name: name, Text: fmt.Sprintf(format, args...)}
	line, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("log event %s: %w", name, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("log event %s: %w", name, err)
	}
	e.all = append(e.all, event)
	if e.notify != nil {
		e.notify(event)
	}
	return nil
}

// at returns when the event first happened, or the zero time.
func (e *events) at(name EventName) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.all {
		if event.Name == name {
			return event.At
		}
	}
	return time.Time{}
}
