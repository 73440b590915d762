//go:build !linux

package offline

// die is only tried on Linux.
func die(string) {}
