package scenarios_test

import (
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Some disasters leave nothing to recover from. Who plans for one of them learns it before anything is started.
var _ = Describe("no source", Label("disaster:no-source"), func() {
	DescribeTable("the drill is refused with the reason and the way out, and nothing is touched",
		func(ctx SpecContext, spec drill.Spec, reason, wayOut string) {
			spec = sized(spec, 1)
			folder := filepath.Join(GinkgoT().TempDir(), "drill")

			d, err := drill.Open(ctx, spec, drill.Options{Folder: folder})
			Expect(err).To(MatchError(drill.ErrUsage))
			Expect(err).To(MatchError(And(ContainSubstring(reason), ContainSubstring(wayOut))))
			Expect(d).To(BeNil())
			Expect(folder).NotTo(BeADirectory())
			Expect(spec.Check()).To(MatchError(err.Error()), "plan and run must say the same")
		},
		Entry("all killed, a snapshot saved after", Label("via:late-snapshot-of-all-killed"),
			drill.Spec{Members: 3, Fault: "kill", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.After},
			"nobody is left", "--backup before"),
		Entry("the only member killed, a snapshot saved after", Label("via:late-snapshot-of-one"),
			drill.Spec{Members: 1, Fault: "kill", Lose: faults.Quorum, Source: recovery.SavedSnapshot, Backup: drill.After},
			"nobody is left", "--backup before"),
		Entry("all wiped, a snapshot saved after", Label("via:late-snapshot-of-all-wiped"),
			drill.Spec{Members: 3, Fault: "wipe", Lose: faults.All, Source: recovery.SavedSnapshot, Backup: drill.After},
			"nobody is left", "--backup before"),
		Entry("all wiped, a copy of a database", Label("via:db-of-all-wiped"),
			drill.Spec{Members: 3, Fault: "wipe", Lose: faults.All, Source: recovery.DBCopy, Backup: drill.After},
			"no database to copy", "--source snapshot --backup before"),
		Entry("a copy of a running member's database", Label("via:early-db"),
			drill.Spec{Members: 3, Fault: "kill", Lose: faults.Quorum, Source: recovery.DBCopy, Backup: drill.Before},
			"not before the disaster", "--backup after"),
	)
})
