package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is memory in KiB: the most that all programs took at one time.
type usage struct {
	own, members int64
	parts        string // what own was made of
}

// sampleEvery is far below the time in which a garbage collector lets a heap grow and shrink.
const sampleEvery = 25 * time.Millisecond

// watching samples a tree of processes until it is stopped.
type watching struct {
	end  chan struct{}
	most chan usage
}

func watchMemory(root int) *watching {
	w := &watching{end: make(chan struct{}), most: make(chan usage, 1)}
	go func() {
		var most usage
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			select {
			case <-w.end:
				w.most <- most
				return
			case <-tick.C:
				now := sample(root)
				if now.own > most.own {
					most.own, most.parts = now.own, now.parts
				}
				most.members = max(most.members, now.members)
			}
		}
	}()
	return w
}

func (w *watching) stop() usage {
	close(w.end)
	return <-w.most
}

// sample adds up RssAnon of a process and all that descend from it. A process that ends meanwhile has none.
func sample(root int) (now usage) {
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
	var parts []string
	for todo := []int{root}; len(todo) > 0; todo = todo[1:] {
		pid := todo[0]
		todo = append(todo, children[pid]...)
		kib := statusOf(pid, "RssAnon:")
		if program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && filepath.Base(program) == "etcd" {
			now.members += kib
			continue
		}
		now.own += kib
		parts = append(parts, strconv.FormatInt(kib>>10, 10))
	}
	now.parts = strings.Join(parts, "+")
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
	number, _ := strconv.ParseInt(words[0], 10, 64) //nolint:errcheck // the kernel writes a number there
	return number
}
