//go:build !linux

package recovery

// die is only tried on Linux.
func die(string) {}
