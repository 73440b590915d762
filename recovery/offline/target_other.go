//go:build !unix

package offline

import (
	"io/fs"
	"math"
)

// onOtherDevice is not known here.
func onOtherDevice(string) bool { return false }

// foreignOwner is not known here.
func foreignOwner(fs.FileInfo) (uid int, foreign bool) { return 0, false }

// freeBytes is not known here, so that everything fits.
func freeBytes(string) (int64, error) { return math.MaxInt64, nil }
