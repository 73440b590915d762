package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const tests = `{"Action":"run","Package":"a","Test":"TestOne"}
{"Action":"pass","Package":"a","Test":"TestOne/small"}
{"Action":"output","Package":"a","Test":"TestOne/big","Output":"want 1\n"}
{"Action":"fail","Package":"a","Test":"TestOne/big"}
{"Action":"fail","Package":"a","Test":"TestOne"}
{"Action":"output","Package":"a","Test":"TestTwo","Output":"=== RUN   TestTwo\n"}
{"Action":"output","Package":"a","Test":"TestTwo","Output":"    a_test.go:7: no moon tonight\n"}
{"Action":"output","Package":"a","Test":"TestTwo","Output":"--- SKIP: TestTwo (0.00s)\n"}
{"Action":"skip","Package":"a","Test":"TestTwo"}
{"Action":"fail","Package":"a"}
{"Action":"pass","Package":"b","Test":"TestThree"}
{"Action":"pass","Package":"b"}
not from a test
{"Action":"fail","Package":"c"}
`

const specs = `[{"SuiteDescription":"scenarios","SuiteSucceeded":true,"SpecReports":[
 {"State":"passed","LeafNodeType":"BeforeSuite","ReportEntries":[{"Name":"runtime","Value":{"Representation":"process"}}]},
 {"State":"skipped","LeafNodeType":"It","LeafNodeText":"is paused","ContainerHierarchyTexts":["a member"],"Failure":{"Message":"no freezer"}},
 {"State":"passed","LeafNodeType":"It","LeafNodeLabels":["size:3"],"ContainerHierarchyLabels":[["engine"],["engine"]]},
 {"State":"timedout","LeafNodeType":"It","LeafNodeLabels":["engine"]},
 {"State":"skipped","LeafNodeType":"It","LeafNodeLabels":["engine"]}]},
 {"SuiteSucceeded":false,"SpecReports":null}]`

func TestLeavesAndDeadPackagesAreCounted(t *testing.T) {
	got := tally{}
	if err := got.countTests(strings.NewReader(tests)); err != nil {
		t.Fatal(err)
	}
	// Passed: TestOne/small, TestThree. Failed: TestOne/big, and package c, which died without a test.
	if got.passed != 2 || got.failed != 2 {
		t.Errorf("got %d passed, %d failed, want 2 and 2", got.passed, got.failed)
	}
	if want := []string{"a TestTwo: a_test.go:7: no moon tonight"}; !slices.Equal(got.skipped, want) {
		t.Errorf("got skipped %q, want %q", got.skipped, want)
	}
}

func TestExecutedSpecsAreCountedOncePerLabel(t *testing.T) {
	got := tally{labels: map[string]int{}}
	if err := got.countSpecs(strings.NewReader(specs)); err != nil {
		t.Fatal(err)
	}
	// Failed: the spec that timed out, and the suite that failed without a spec.
	if got.passed != 1 || got.failed != 2 || got.labels["engine"] != 2 || got.labels["size:3"] != 1 {
		t.Errorf("got %+v, want 1 passed, 2 failed, engine 2, size:3 1", got)
	}
	if want := []string{"a member is paused: no freezer"}; !slices.Equal(got.skipped, want) {
		t.Errorf("got skipped %q, want %q: a spec that was not chosen has no reason", got.skipped, want)
	}
	if want := []string{"scenarios on process"}; !slices.Equal(got.ran, want) {
		t.Errorf("got ran %q, want %q", got.ran, want)
	}
}

func TestSumFailsUnlessSomethingPassedAndNothingFailed(t *testing.T) {
	passed := strings.ReplaceAll(specs, `"timedout"`, `"passed"`)
	passed = strings.ReplaceAll(passed, `"SuiteSucceeded":false`, `"SuiteSucceeded":true`)
	for name, c := range map[string]struct {
		content, label, on, want string
	}{
		"good":       {passed, "engine", "process", ""},
		"no label":   {passed, "netem", "", `no spec with the label "netem" ran`},
		"no runtime": {passed, "", "process,docker", "no suite ran on the runtime docker"},
		"failed":     {specs, "engine", "", "there are failures"},
		"empty":      {"[]", "", "", "nothing ran"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "suite.json"), []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		total, err := countDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if objection := total.object(c.label, strings.FieldsFunc(c.on, func(r rune) bool { return r == ',' })); objection != nil {
			got = objection.Error()
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if failed := sum([]string{"-need", c.label, "-on", c.on, dir}) != nil; failed != (c.want != "") {
			t.Errorf("%s: sum failed is %t", name, failed)
		}
	}
}

func TestFollowShowsWhyATestFailed(t *testing.T) {
	var out bytes.Buffer
	p := startPulse("tests", &out)
	err := follow(strings.NewReader(tests), p)
	p.stop()
	if err == nil || !strings.Contains(out.String(), "FAIL a TestOne/big") || !strings.Contains(out.String(), "want 1\n") {
		t.Errorf("got error %v and output\n%s", err, out.String())
	}
}

func TestASilentCommandIsHeardOf(t *testing.T) {
	reader, writer := io.Pipe()
	p := startPulse("the build", writer)
	line := make([]byte, 100)
	n, err := reader.Read(line) // no output is written: what arrives is the pulse's own
	if err != nil || !strings.Contains(string(line[:n]), "the build goes on") {
		t.Errorf("got %q, %v", line[:n], err)
	}
	if err := reader.Close(); err != nil { // nobody reads on, so that no further sign can block
		t.Error(err)
	}
	p.stop()
}
