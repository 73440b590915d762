package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sampleEvery is short beside the time in which a heap grows and shrinks.
const sampleEvery = 20 * time.Millisecond

// usage is memory in KiB, at one time.
type usage struct {
	harness int64 // of the program and its children
	root    int64 // of the program alone
	members int64
}

func (u usage) most(other usage) usage {
	return usage{harness: max(u.harness, other.harness), root: max(u.root, other.root), members: max(u.members, other.members)}
}

// process is what the kernel tells of one.
type process struct {
	pid, parent int
	anonKiB     int64
	member      bool
}

// sample looks at all processes that descend from this one. One that ends meanwhile is not counted.
func sample(root int) (now usage) {
	children := map[int][]process{}
	folders, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well formed
	for _, folder := range folders {
		if p, err := look(folder); err == nil {
			children[p.parent] = append(children[p.parent], p)
			if p.pid == root {
				now.root = p.anonKiB
			}
		}
	}
	now.harness = now.root
	for parents := []int{root}; len(parents) > 0; parents = parents[1:] {
		for _, p := range children[parents[0]] {
			parents = append(parents, p.pid)
			if p.member {
				now.members += p.anonKiB
			} else {
				now.harness += p.anonKiB
			}
		}
	}
	return now
}

func look(folder string) (p process, err error) {
	status, err := os.ReadFile(filepath.Join(folder, "status"))
	if err != nil {
		return p, err
	}
	line, err := os.ReadFile(filepath.Join(folder, "cmdline"))
	if err != nil {
		return p, err
	}
	name, _, _ := strings.Cut(string(line), "\x00")
	p.member = strings.HasPrefix(filepath.Base(name), "etcd-drill-") || filepath.Base(name) == "etcd"
	for fields := bufio.NewScanner(bytes.NewReader(status)); fields.Scan(); {
		key, value, _ := strings.Cut(fields.Text(), ":")
		words := strings.Fields(value)
		if len(words) == 0 {
			continue
		}
		switch number, _ := strconv.ParseInt(words[0], 10, 64); key { // of words it is 0, and those are not used
		case "Pid":
			p.pid = int(number)
		case "PPid":
			p.parent = int(number)
		case "RssAnon":
			p.anonKiB = number
		}
	}
	if p.pid == 0 {
		return p, fmt.Errorf("no process in %s", folder)
	}
	return p, nil
}
