package harness

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAMemberFindsTheLogThatWasRestoredForIt(t *testing.T) {
	usual, apart := "--data-dir=/disk/data", "--wal-dir=/disk/data/"+WALName
	for name, c := range map[string]struct {
		log   string // relative to the data directory; empty for none
		flags []string
		hint  string // of the refusal; empty for none
	}{
		"in its place":             {usualLog, []string{usual}, ""},
		"apart":                    {WALName, []string{usual, apart}, ""},
		"apart, relative":          {WALName, []string{"--data-dir=data", "--wal-dir=data/" + WALName}, ""},
		"named in its place":       {usualLog, []string{usual, "--wal-dir=/disk/data/member/wal"}, ""},
		"apart and forgotten":      {WALName, []string{usual}, "the log is in " + WALName},
		"in its place and renamed": {usualLog, []string{usual, apart}, "the log is in " + usualLog},
		"named again by somebody":  {WALName, []string{usual, apart, "--wal-dir=/disk/other"}, "the log is in " + WALName},
		"none":                     {"", []string{usual}, "restore it first"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.log != "" {
				log := filepath.Join(dir, c.log)
				if err := os.MkdirAll(log, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(log, "0000000000000000-0000000000000000.wal"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := checkLog(dir, c.flags)
			if c.hint == "" && err != nil || c.hint != "" && (!errors.Is(err, ErrNoLog) || !strings.Contains(err.Error(), c.hint)) {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := checkLog(filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}
