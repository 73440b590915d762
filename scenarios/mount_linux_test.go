package scenarios_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// mount mounts a file system of its own on the folder, for the length of the spec.
func mount(dir string, m mountOf) {
	GinkgoHelper()
	asRoot()
	var flags uintptr
	if m.readOnly {
		flags = unix.MS_RDONLY
	}
	Expect(unix.Mount("tmpfs", dir, "tmpfs", flags, fmt.Sprintf("mode=700,size=%d", m.sizeBytes))).To(Succeed())
	DeferCleanup(func() error { return unix.Unmount(dir, 0) })
}
