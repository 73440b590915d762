package recovery

import "time"

// Beat is a time that somebody writes under a key again and again, as a source holds it: how fresh the source is.
type Beat struct {
	At time.Time `json:"at,omitzero"`
	// Fault says why At is not known; empty if it is. It tells nothing of the value.
	Fault string `json:"fault,omitempty"`
}
