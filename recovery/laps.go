package recovery

import "time"

// LapName names a part of a restore.
type LapName string

// The parts of a restore. The hash is computed while the copy is made and etcdutl is at work on a core of it; all else comes in this
// order.
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
