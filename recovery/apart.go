package recovery

import (
	"errors"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/verify"

	"github.com/etcd-drill/etcd-drill/harness"
)

// logDir is where the restored member's write-ahead log lies.
func (t restoreTask) logDir() string {
	if t.WALDir != "" {
		return t.WALDir
	}
	return filepath.Join(t.DataDir, "member", "wal")
}

// walIn is where the member's log lies in this data directory if it is kept apart; empty if not.
func (m MemberPlan) walIn(dataDir string) string {
	if m.WALDir == "" {
		return ""
	}
	return filepath.Join(dataDir, harness.WALName)
}

// verifyApart does for a log that lies apart what etcd's own verification does for every other at the end of a restore. That
// one looks below the data directory only (server/verify/verify.go, validateWAL) and so fails where nothing is wrong; here
// data and log are shown to it under one roof, a folder of links that is removed again.
func (j *job) verifyApart(task restoreTask) (err error) {
	if task.WALDir == "" {
		return nil
	}
	roof, err := os.MkdirTemp(filepath.Dir(task.DataDir), "verify-*")
	if err != nil {
		return err
	}
	defer func() { err = joinCleanup(err, os.RemoveAll(roof)) }()
	member := filepath.Join(roof, "member")
	err = errors.Join(
		os.Mkdir(member, 0o700),
		os.Symlink(filepath.Join(task.DataDir, "member", "snap"), filepath.Join(member, "snap")),
		os.Symlink(task.WALDir, filepath.Join(member, "wal")),
	)
	if err != nil {
		return err
	}
	return survive(func() error { return verify.Verify(verify.Config{DataDir: roof, ExactIndex: true, Logger: j.lg}) })
}
