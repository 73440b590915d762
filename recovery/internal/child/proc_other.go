//go:build !linux

package child

import "os"

// PeakRSSBytes is not known here.
func PeakRSSBytes() int64 { return 0 }

// RSSBytes is not known here.
func RSSBytes(*os.ProcessState) int64 { return 0 }

// KernelKills is not known here.
func KernelKills() int64 { return 0 }
