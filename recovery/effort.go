package recovery

import "time"

// Effort is what a worker took for its task.
type Effort struct {
	Task string        `json:"task"` // one of the tasks below
	Took time.Duration `json:"tookNanoseconds"`
	CPU  time.Duration `json:"cpuNanoseconds"` // of the worker and of what it has run
	// PeakRSSBytes is the most memory that it, or what it has run, had resident, mapped pages of files included; OwnBytes the most
	// that the worker itself had beside those, which is not known of an etcdutl program. 0 where they are not known.
	PeakRSSBytes int64 `json:"peakRSSBytes"`
	OwnBytes     int64 `json:"ownBytes"`
}

// The tasks of workers.
const (
	TaskCheck   = "check"
	TaskExtract = "extract"
	TaskRestore = "restore"
	TaskSurvey  = "survey"
	TaskLog     = "log"
	TaskVet     = "vet"
	TaskVerify  = "verify"
)
