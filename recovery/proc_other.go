//go:build !linux

package recovery

import "os"

// peakRSSBytes is not known here.
func peakRSSBytes() int64 { return 0 }

// childRSSBytes is not known here.
func childRSSBytes(*os.ProcessState) int64 { return 0 }

// kernelKills is not known here.
func kernelKills() int64 { return 0 }
