package measure

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is memory in KiB of RssAnon, in which mapped pages of files are not: the most that all had at one time.
type Usage struct {
	OwnKiB     int64  // of a program and its children, without members
	ProgramKiB int64  // of the program alone
	MembersKiB int64  // of the members of etcd that it has started
	Parts      string // what OwnKiB was made of, in MiB
}

// sampleEvery is far below the time in which a garbage collector lets a heap grow and shrink.
const sampleEvery = 20 * time.Millisecond

// Watching samples a tree of processes until it is stopped.
type Watching struct {
	end  chan struct{}
	most chan Usage
}

// Watch begins to sample the program of this process ID and all that descends from it. The caller must Stop it.
func Watch(pid int) *Watching {
	w := &Watching{end: make(chan struct{}), most: make(chan Usage, 1)}
	go func() {
		var most Usage
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			select {
			case <-w.end:
				w.most <- most
				return
			case <-tick.C:
				now := sample(pid)
				if now.OwnKiB > most.OwnKiB {
					most.OwnKiB, most.Parts = now.OwnKiB, now.Parts
				}
				most.ProgramKiB, most.MembersKiB = max(most.ProgramKiB, now.ProgramKiB), max(most.MembersKiB, now.MembersKiB)
			}
		}
	}()
	return w
}

// Stop returns the most that was seen.
func (w *Watching) Stop() Usage {
	close(w.end)
	return <-w.most
}

// sample adds up a process and all that descend from it. A process that ends meanwhile has nothing.
func sample(root int) (now Usage) {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return now
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			parent := statusOf(pid, "PPid:")
			children[int(parent)] = append(children[int(parent)], pid)
		}
	}
	now.ProgramKiB = statusOf(root, "RssAnon:")
	var parts []string
	for todo := []int{root}; len(todo) > 0; todo = todo[1:] {
		pid := todo[0]
		todo = append(todo, children[pid]...)
		kib := statusOf(pid, "RssAnon:")
		if program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && filepath.Base(program) == "etcd" {
			now.MembersKiB += kib
			continue
		}
		now.OwnKiB += kib
		parts = append(parts, strconv.FormatInt(kib>>10, 10))
	}
	now.Parts = strings.Join(parts, "+")
	return now
}

// statusOf is a number of a process's status; 0 if it is gone.
func statusOf(pid int, field string) int64 {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }() // read only
	text, err := io.ReadAll(file)
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "\n"+field)
	words := strings.Fields(rest)
	if len(words) == 0 {
		return 0
	}
	number, _ := strconv.ParseInt(words[0], 10, 64) // the kernel writes a number there
	return number
}
