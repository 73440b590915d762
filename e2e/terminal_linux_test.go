package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/etcd-drill/etcd-drill/drill"
)

// takeBack is how the program takes its refreshing line away: to the first column, and erase to the end.
const takeBack = "\r\x1b[K"

var _ = Describe("a terminal", Label("cli", "etcd"), func() {
	It("shows one refreshing line that never rests, and then the result alone", func(ctx SpecContext) {
		const columns = 60
		u := newUser()
		shown := onTerminal(ctx, u, columns,
			"run", "--out", u.home+"/out", "--members", "1", "--keys", "500", "--fault", "kill", "--backup", "before", "--seed", "5")

		text, longest := "", time.Duration(0)
		for i, piece := range shown {
			text += piece.text
			if i > 0 {
				longest = max(longest, piece.at.Sub(shown[i-1].at))
			}
		}
		Expect(longest).To(BeNumerically("<", 2*time.Second), "the longest silence")

		phases := []drill.EventName{drill.EventStarting, drill.EventLoading, drill.EventSignalled, drill.EventFencing}
		for _, phase := range phases {
			Expect(text).To(ContainSubstring("drill 1/1  " + string(phase)))
		}
		var left []string // what stands on the screen when all is over
		for _, line := range strings.Split(text, "\r\n") {
			states := strings.Split(line, takeBack)
			for _, state := range states[:len(states)-1] {
				Expect(utf8.RuneCountInString(state)).To(BeNumerically("<", columns), "it would wrap: %q", state)
			}
			left = append(left, states[len(states)-1])
		}
		Expect(left[0]).To(HavePrefix("etcd-drill "))
		Expect(left[len(left)-2]).To(HavePrefix("1 of 1 intact in "))
		Expect(left[len(left)-1]).To(BeEmpty())
		Expect(strings.Join(left, "\n")).To(And(
			ContainSubstring("\x1b[32mINTACT\x1b[0m"), Not(ContainSubstring("drill 1/1  ")), Not(ContainSubstring("\r"))))
	}, SpecTimeout(time.Minute))
})

// piece is something that appeared on the terminal.
type piece struct {
	at   time.Time
	text string
}

// onTerminal runs the program on a new terminal of so many columns until it has ended well, and returns what it showed.
func onTerminal(ctx context.Context, u user, columns uint16, args ...string) []piece {
	GinkgoHelper()
	ours := must(os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0))
	defer ours.Close() //nolint:errcheck // everything was read
	fd := int(ours.Fd())
	Expect(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)).To(Succeed())
	number := must(unix.IoctlGetInt(fd, unix.TIOCGPTN))
	Expect(unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})).To(Succeed())
	theirs := must(os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0))

	cmd := exec.CommandContext(ctx, u.program, args...)
	cmd.Env = append(os.Environ(), "ETCD_DRILL_STATE_DIR="+u.state,
		"ETCD_DRILL_RUNTIME="+suite.runtime.Name(), "CI=", "NO_COLOR=", "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	Expect(errors.Join(cmd.Start(), theirs.Close())).To(Succeed())
	var shown []piece
	for buffer := make([]byte, 4096); ; {
		n, err := ours.Read(buffer)
		if n > 0 {
			shown = append(shown, piece{at: time.Now(), text: string(buffer[:n])})
		}
		if err != nil { // Linux says EIO when the last process has closed the terminal
			break
		}
	}
	Expect(cmd.Wait()).To(Succeed())
	return shown
}
