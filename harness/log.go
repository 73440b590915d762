package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrNoLog marks a prepared data directory without a write-ahead log where its member would look for one: one that was kept
// apart at the restore and is not at the start, or the other way round, or one that was never restored. etcd begins a new log
// there without a word, and takes who it is from its flags, which it ignores otherwise.
var ErrNoLog = errors.New("no write-ahead log where the member would look for it")

// usualLog is where etcd keeps the log if no flag says otherwise, relative to the data directory
// (server/storage/datadir/datadir.go, ToWALDir).
const usualLog = "member/wal"

// checkLogs holds every prepared directory against the flags of its member, before any of them is touched.
func (b Birth) checkLogs(site Site) error {
	for _, seat := range b.Layout.Seats {
		dir, prepared := b.Dirs[seat.Name]
		if !prepared {
			continue
		}
		place, err := b.manner().Places(site).Place(seat.Name)
		if err != nil {
			return err
		}
		if err := checkLog(dir, append(Flags(b.Layout, seat, place), b.Args...)); err != nil {
			return fmt.Errorf("member %s: %w", seat.Name, err)
		}
	}
	return nil
}

// checkLog looks for the log in a directory of this machine that will be the data directory of a member with these flags.
func checkLog(dir string, args []string) error {
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	sought := logOf(args)
	if filepath.IsLocal(sought) && hasLog(dir, sought) {
		return nil
	}
	for _, other := range []string{usualLog, WALName} {
		if hasLog(dir, other) {
			return fmt.Errorf("%w: it looks in %s of its data directory, and the log is in %s; "+
				"start it with the same --wal-dir that the restore had", ErrNoLog, sought, other)
		}
	}
	return fmt.Errorf("%w: it looks in %s of its data directory, and there is no log in it at all; restore it first", ErrNoLog, sought)
}

// logOf is where a member with these flags keeps its log, relative to its data directory.
func logOf(args []string) string {
	data, log := flagOf(args, "data-dir"), flagOf(args, "wal-dir")
	if log == "" {
		return usualLog
	}
	inside, err := filepath.Rel(data, log)
	if err != nil {
		return log
	}
	return inside
}

// flagOf returns a flag's value; of one that is given twice etcd takes the last.
func flagOf(args []string, name string) (value string) {
	for _, arg := range args {
		if given, found := strings.CutPrefix(strings.TrimLeft(arg, "-"), name+"="); found {
			value = given
		}
	}
	return value
}

func hasLog(dir, folder string) bool {
	found, err := filepath.Glob(filepath.Join(dir, folder, "*.wal"))
	return err == nil && len(found) > 0
}
