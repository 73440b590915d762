package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/await"
)

// asHarness makes this test program a harness that starts one process and then waits to be killed.
const asHarness = "PROCESS_TEST_HARNESS"

// asSpinner makes it a program whose threads are always at work.
const asSpinner = "PROCESS_TEST_SPINNER"

func TestMain(m *testing.M) {
	if os.Getenv(asSpinner) != "" {
		for range 8 {
			go func() {
				for runtime.LockOSThread(); ; {
				}
			}()
		}
		select {}
	}
	if os.Getenv(asHarness) == "" {
		os.Exit(m.Run())
	}
	runtime.LockOSThread() // keeps the program's first thread for itself, which never ends before the program does
	cmd := exec.Command("sleep", "1000")
	if err := newForker().start(cmd); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	endThreads() // none of which is the one that counts
	fmt.Println(cmd.Process.Pid)
	select {}
}

// endThreads has Go start threads and end them again.
func endThreads() {
	var ending sync.WaitGroup
	for range 500 {
		ending.Go(runtime.LockOSThread) // a goroutine that ends locked takes its thread along
	}
	ending.Wait()
}

func TestProcessesLiveAsLongAsTheHarness(t *testing.T) {
	harness := exec.Command(os.Args[0])
	harness.Env = append(os.Environ(), asHarness+"=1")
	said, err := harness.StdoutPipe()
	check(t, err)
	check(t, harness.Start())
	defer func() {
		_ = harness.Process.Kill() // it may have been already
		_ = harness.Wait()
	}()
	line, err := bufio.NewReader(said).ReadString('\n')
	check(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	check(t, err)
	started, err := startOf(pid)
	check(t, err)
	member := sighting{PID: pid, Started: started, Name: "sleep"}

	// A signal that follows a thread would have come by now.
	held := await.Condition{Name: "half a second", Within: time.Minute, Every: 10 * time.Millisecond}
	begin := time.Now()
	check(t, await.Until(t.Context(), held, func(context.Context) error {
		switch {
		case !member.alive():
			return await.Hopeless(errors.New("the process ended before the harness did"))
		case time.Since(begin) < 500*time.Millisecond:
			return errors.New("not yet")
		}
		return nil
	}))
	check(t, harness.Process.Kill())
	gone := await.Condition{Name: "the end of the process", Within: 2 * time.Second, Every: 5 * time.Millisecond}
	check(t, await.Until(t.Context(), gone, func(context.Context) error {
		if member.alive() {
			return errors.New("it outlived the harness")
		}
		return nil
	}))
}
