package recovery

import (
	"path/filepath"

	"github.com/etcd-drill/etcd-drill/harness"
)

// logDir is where the restored member's write-ahead log lies.
func (m memberTask) logDir() string {
	if m.WALDir != "" {
		return m.WALDir
	}
	return filepath.Join(m.DataDir, "member", "wal")
}

// walIn is where the member's log lies in this data directory if it is kept apart; empty if not.
func (m MemberPlan) walIn(dataDir string) string {
	if m.WALDir == "" {
		return ""
	}
	return filepath.Join(dataDir, harness.WALName)
}
