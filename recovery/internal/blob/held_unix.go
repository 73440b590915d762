//go:build unix && !solaris && !illumos && !aix

package blob

import (
	"errors"
	"os"
	"syscall"
)

// HeldOpen tells whether a process has the database open for writing. bbolt locks the whole file as long as it does (flock in
// its bolt_unix.go). The question takes a shared lock for a moment, for which a server that starts just then waits.
func HeldOpen(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false // whoever reads it learns why
	}
	defer func() { _ = file.Close() }() // releases the lock
	return errors.Is(syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
