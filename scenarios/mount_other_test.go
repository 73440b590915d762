//go:build !linux

package scenarios_test

import . "github.com/onsi/ginkgo/v2"

// mount needs a kernel that lends file systems.
func mount(string, mountOf) { Skip("a file system is mounted on Linux only") }
