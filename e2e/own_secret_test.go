package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
)

// plantedValue and plantedName are in the values, and in the names of the keys, of a backup that is to stay secret.
const (
	plantedValue = "planted-value"
	plantedName  = "planted-name"
)

var _ = Describe("the drill of a backup that is to stay secret", Label("cli", "crash", "etcd"), func() {
	var (
		u    user
		file string
		temp string // what the program takes for the system's folder of temporary files
	)
	BeforeEach(func(ctx SpecContext) {
		u, temp = newUser(), newFolder("temp")
		Expect(os.Mkdir(temp, 0o700)).To(Succeed())
		u.env = append(u.env, "TMPDIR="+temp)
		cluster, pairs := live(ctx, drill.Spec{Members: 1}), map[string]string{}
		for i := range 200 {
			pairs[fmt.Sprintf("/%s/%03d", plantedName, i)] = strings.Repeat(plantedValue, 20)
		}
		cluster.put(ctx, pairs)
		file = cluster.snapshot(ctx)
	})

	// A packed one has to be unpacked into the drill folder.
	args := func() []string {
		return []string{"--snapshot", u.put("backup.db.gz", gzipped(must(os.ReadFile(file)))), "--redact", "keys"}
	}

	moments := []drill.EventName{drill.EventFetched, drill.EventPlanned, drill.EventRestored, drill.EventElected, drill.EventReadBack}
	for _, moment := range moments {
		It("tells nothing of it when it is interrupted at "+string(moment), func(ctx SpecContext) {
			p := u.drill(args()...)
			p.reachesOrEnds(ctx, moment)
			p.Interrupt()
			Eventually(ctx, p.ExitCode).WithTimeout(30 * time.Second).Should(BeElementOf(0, 130)) // it may just have ended
			p.expectNothingLeft(ctx)
			p.expectNothingTold()
			Expect(os.ReadDir(temp)).To(BeEmpty())
		}, SpecTimeout(ownWithin))

		It("leaves nothing of it when it is killed at "+string(moment)+" and cleaned up after", func(ctx SpecContext) {
			p := u.drill(args()...)
			p.reachesOrEnds(ctx, moment)
			p.Kill()
			Eventually(ctx, p.ExitCode).WithTimeout(10 * time.Second).Should(BeElementOf(0, 137))
			u.call("clean").ends(ctx, 0, time.Minute)
			p.expectNothingLeft(ctx)
			Expect(filepath.Join(p.out, "work")).NotTo(BeAnExistingFile())
			p.expectNothingTold()
			Expect(os.ReadDir(temp)).To(BeEmpty())
		}, SpecTimeout(ownWithin))
	}

	It("is closed to others while it runs, also what was unpacked", func(ctx SpecContext) {
		p := u.drill(args()...)
		p.dies(ctx, drill.EventFetched)
		unpacked := filepath.Join(p.out, "work", "given", "backup.db")
		Expect(string(must(os.ReadFile(unpacked)))).To(ContainSubstring(plantedValue), "otherwise nothing was at stake")
		Expect(must(os.Stat(unpacked)).Mode().Perm()).To(Equal(os.FileMode(0o600)))
		for dir := filepath.Dir(unpacked); strings.HasPrefix(dir, p.out); dir = filepath.Dir(dir) {
			Expect(must(os.Stat(dir)).Mode().Perm()).To(Equal(os.FileMode(0o700)), dir)
		}
		u.call("clean").ends(ctx, 0, time.Minute)
	}, SpecTimeout(ownWithin))
})

// reachesOrEnds waits until the drill has logged this moment, or has ended: the moments of a small one are short.
func (p *program) reachesOrEnds(ctx context.Context, moment drill.EventName) {
	GinkgoHelper()
	Eventually(ctx, func() bool {
		for _, seen := range p.moments() {
			if seen == moment {
				return true
			}
		}
		return p.ExitCode() >= 0
	}).WithTimeout(ownWithin).WithPolling(3 * time.Millisecond).Should(BeTrue())
}

// expectNothingTold greps everything that the call printed and left.
func (p *program) expectNothingTold() {
	GinkgoHelper()
	expectSecret(p, plantedValue)
	expectSecret(p, plantedName)
	expectNoCopies(p.out)
}
