package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// event is a line of `go test -json` (see go doc test2json).
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string // of a package that does not build
	Elapsed                       float64
}

func eachEvent(r io.Reader, do func(event)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e = event{Action: "output", Output: lines.Text() + "\n"} // not from a test: the go command speaks
		}
		do(e)
	}
	return lines.Err()
}

// follow shows the output of what failed, a line for every package, and every test that took its time.
func follow(r io.Reader, p *pulse) error {
	output, failures := map[string][]string{}, 0
	err := eachEvent(r, func(e event) {
		key := e.Package + e.ImportPath + "\x00" + e.Test
		switch e.Action {
		case "run":
			p.now("in " + shortened(e.Package) + " " + e.Test)
		case "output", "build-output":
			output[key] = append(output[key], e.Output)
			if e.Package == "" {
				p.say("%s", e.Output)
			}
		case "pass", "skip":
			if e.Test == "" || e.Elapsed >= 1 || e.Action == "skip" {
				p.say("  %s %s %s (%.1fs)\n", e.Action, shortened(e.Package), e.Test, e.Elapsed)
			}
			delete(output, key)
		case "fail":
			failures++
			p.say("  FAIL %s %s (%.1fs)\n%s", shortened(e.Package), e.Test, e.Elapsed, strings.Join(output[key], ""))
			delete(output, key)
		}
	})
	if err == nil && failures > 0 {
		err = errors.New("there are failures")
	}
	return err
}

func shortened(path string) string {
	parts := strings.SplitN(path, "/", 4)
	return parts[len(parts)-1]
}

// tally counts tests and specs. A skipped one is neither passed nor failed.
type tally struct {
	passed, failed int
	labels         map[string]int // executed specs by label
	ran            []string       // which suite ran on which runtime
	skipped        []string       // what skipped itself, with the reason; what was not chosen is not here
}

func countDir(dir string) (tally, error) {
	total := tally{labels: map[string]int{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.json*"))
	if err != nil {
		return total, err
	}
	for _, path := range files {
		count := total.countSpecs
		if strings.HasSuffix(path, "l") {
			count = total.countTests
		}
		if err := countFile(path, count); err != nil {
			return total, fmt.Errorf("count %s: %w", path, err)
		}
	}
	return total, nil
}

func countFile(path string, count func(io.Reader) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(count(file), file.Close())
}

// countTests counts leaves: a test with subtests is not counted beside them. A package that failed without a failed test
// did not build, or died, and counts as one failure.
func (t *tally) countTests(r io.Reader) error {
	ended, parents, failedIn := map[string]string{}, map[string]bool{}, map[string]bool{}
	said := map[string]string{} // the last line of every test, which is the reason of one that skips itself
	var failedPackages []string
	err := eachEvent(r, func(e event) {
		if e.Action == "output" && strings.HasPrefix(e.Output, "    ") {
			said[e.Package+" "+e.Test] = strings.TrimSpace(e.Output)
		}
		switch {
		case e.Action != "pass" && e.Action != "fail" && e.Action != "skip":
		case e.Test == "" && e.Action == "fail":
			failedPackages = append(failedPackages, e.Package)
		case e.Test != "":
			ended[e.Package+" "+e.Test] = e.Action
			failedIn[e.Package] = failedIn[e.Package] || e.Action == "fail"
			for i, c := range e.Test {
				if c == '/' {
					parents[e.Package+" "+e.Test[:i]] = true
				}
			}
		}
	})
	for _, name := range slices.Sorted(maps.Keys(ended)) {
		if parents[name] {
			continue
		}
		t.add(ended[name])
		if ended[name] == "skip" {
			t.skipped = append(t.skipped, shortened(name)+": "+said[name])
		}
	}
	for _, name := range failedPackages {
		if !failedIn[name] {
			t.failed++
		}
	}
	return err
}

// suite is what is read of Ginkgo's JSON report (github.com/onsi/ginkgo/v2/types, type Report).
type suite struct {
	SuiteDescription string
	SuiteSucceeded   bool
	SpecReports      []specReport
}

type specReport struct {
	State                    string
	LeafNodeType             string
	LeafNodeText             string
	LeafNodeLabels           []string
	ContainerHierarchyTexts  []string
	ContainerHierarchyLabels [][]string
	Failure                  struct{ Message string }
	ReportEntries            []struct {
		Name  string
		Value struct{ Representation string }
	}
}

// name is what a person would search for.
func (r specReport) name() string {
	return strings.Join(append(slices.Clone(r.ContainerHierarchyTexts), r.LeafNodeText), " ")
}

// countSpecs counts specs, and whatever else failed: a suite's setup, its cleanup, or the suite itself.
func (t *tally) countSpecs(r io.Reader) error {
	var suites []suite
	if err := json.NewDecoder(r).Decode(&suites); err != nil {
		return err
	}
	for _, s := range suites {
		before := t.failed
		for _, spec := range s.SpecReports {
			isSpec := spec.LeafNodeType == "It"
			for _, entry := range spec.ReportEntries {
				if entry.Name == "runtime" && !isSpec {
					t.ran = append(t.ran, s.SuiteDescription+" on "+entry.Value.Representation)
				}
			}
			switch spec.State {
			case "skipped", "pending":
				if spec.Failure.Message != "" {
					t.skipped = append(t.skipped, spec.name()+": "+spec.Failure.Message)
				}
				continue
			case "passed":
				if isSpec {
					t.add("pass")
				}
			default:
				t.add("fail")
			}
			if isSpec {
				labels := slices.Concat(append(spec.ContainerHierarchyLabels, spec.LeafNodeLabels)...)
				slices.Sort(labels)
				for _, label := range slices.Compact(labels) {
					t.labels[label]++
				}
			}
		}
		if !s.SuiteSucceeded && t.failed == before {
			t.failed++
		}
	}
	return nil
}

func (t *tally) add(action string) {
	switch action {
	case "pass":
		t.passed++
	case "fail":
		t.failed++
	}
}
