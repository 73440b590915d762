package recovery

import (
	"os"

	"golang.org/x/sys/unix"
)

// clone has one file share all blocks of another, which costs nothing; it reports whether the file system can.
func clone(to, from *os.File) bool {
	return unix.IoctlFileClone(int(to.Fd()), int(from.Fd())) == nil
}
