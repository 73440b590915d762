package drill

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/mem"
	"golang.org/x/sys/unix"

	"github.com/etcd-drill/etcd-drill/internal/bench"
)

// BenchDisk is a folder in which restores are measured.
type BenchDisk struct {
	Name string // for people: the kind of its file system, or what somebody called it
	Dir  string
}

// tmpfs is a file system in memory; sharedMemory is where Linux has one for everybody.
const (
	tmpfs        = "tmpfs"
	sharedMemory = "/dev/shm"
)

// NewBenchDisk reads what somebody wrote: "tmpfs", "real" for this folder, a folder, or NAME=FOLDER. The folder must be there.
func NewBenchDisk(text, real string) (BenchDisk, error) {
	name, dir, named := strings.Cut(text, "=")
	if !named {
		name, dir = "", text
	}
	switch dir {
	case tmpfs:
		dir = sharedMemory
	case "real":
		dir = real
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return BenchDisk{}, fmt.Errorf("%w: disk %s: %w", ErrUsage, text, err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return BenchDisk{}, fmt.Errorf("%w: disk %s: %s is no folder that is there; name one, or make it", ErrUsage, text, dir)
	}
	if name == "" {
		if name, err = fileSystem(dir); err != nil {
			return BenchDisk{}, fmt.Errorf("disk %s: %w", text, err)
		}
	}
	if strings.ContainsAny(name, "/= \t\n") {
		return BenchDisk{}, fmt.Errorf("%w: a disk cannot be called %q", ErrUsage, name)
	}
	if text == tmpfs && name != tmpfs {
		return BenchDisk{}, fmt.Errorf("%w: %s is %s and no tmpfs; name a folder that is", ErrUsage, dir, name)
	}
	return BenchDisk{Name: name, Dir: dir}, nil
}

// thisHost describes this machine.
func thisHost() (bench.Host, error) {
	processors, err := cpu.Info()
	if err != nil {
		return bench.Host{}, fmt.Errorf("look at processors: %w", err)
	}
	memory, err := mem.VirtualMemory()
	if err != nil {
		return bench.Host{}, fmt.Errorf("look at memory: %w", err)
	}
	kernel, err := host.KernelVersion()
	if err != nil {
		return bench.Host{}, fmt.Errorf("look at kernel: %w", err)
	}
	model := "unknown"
	if len(processors) > 0 && processors[0].ModelName != "" {
		model = strings.Join(strings.Fields(processors[0].ModelName), " ")
	}
	return bench.Host{
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: model, CPUs: runtime.NumCPU(), MemoryBytes: int64(memory.Total), Kernel: kernel,
	}, nil
}

// paceBytes is how much pace hashes on each: a few hundredths of a second of work.
const paceBytes = 64 << 20

// pace tells how fast the processors are just now, all of them: a computation that is always the same and needs nothing else.
func pace() time.Duration {
	start := time.Now()
	var all sync.WaitGroup
	for range runtime.NumCPU() {
		all.Go(func() {
			block := make([]byte, 1<<20)
			sum := sha256.New()
			for range paceBytes / len(block) {
				sum.Write(block)
			}
			sum.Sum(nil)
		})
	}
	all.Wait()
	return time.Since(start)
}

// ownCPU is the processor time that this program has taken since it runs; 0 where nobody tells.
func ownCPU() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// warm reads a file, so that it is in memory.
func warm(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{io.Discard}, file)
	return errors.Join(err, file.Close())
}
