//go:build !linux

package drill

import "github.com/etcd-drill/etcd-drill/harness"

// fileSystem cannot tell the kind of a file system here.
func fileSystem(string) (string, error) { return "disk", nil }

func settleDisk(string) error { return nil }

func chill(string) error { return harness.Unsupported("only Linux takes a single file out of memory") }
