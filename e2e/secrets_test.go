package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/harness/host"
)

// Keys of a drill with TLS are files of its members while they run. Data that is kept must not take them along.
var _ = Describe("a drill with TLS whose data is kept", Label("cli", "etcd"), func() {
	It("keeps no private key", func(ctx SpecContext) {
		u := newUser()
		u.choice = host.Process // where members' files lie in the drill folder
		p := u.drill("--auth", "--members", "1", "--lose", "all", "--source", "snapshot", "--backup", "before", "--keys", "100", "--keep", "all")
		p.ends(ctx, 0, time.Minute)

		databases := 0
		Expect(filepath.WalkDir(p.out, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			Expect(bytes.Contains(content, []byte("PRIVATE KEY"))).To(BeFalse(), path)
			if entry.Name() == "db" {
				databases++
			}
			return err
		})).To(Succeed())
		Expect(databases).To(BeNumerically(">=", 2), "of the lost member and of the restored one")
	}, SpecTimeout(2*time.Minute))
})
