//go:build unix

package blob

import (
	"os"
	"syscall"
	"testing"
)

// blocks is what a file takes on its disk, in bytes.
func blocks(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks * 512
}
