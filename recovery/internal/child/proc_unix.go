//go:build unix && !linux

package child

import "syscall"

// dieWithParent changes nothing here: only Linux can tie a process to its parent.
func dieWithParent(*syscall.SysProcAttr) {}
