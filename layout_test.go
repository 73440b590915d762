// Package etcddrill_test holds the one test that belongs to no package: that the packages lie as the design draws them.
// .golangci.yml shows the same rules in the editor; this test is the one that decides.
package etcddrill_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/etcd-drill/etcd-drill"

// The rows of the picture, from the ground up. A package imports only from rows below its own.
const (
	ground = iota
	nouns
	phases
	choice // who knows all runtimes, and nothing of what they are for
	assembly
	matchers // they describe what drill returns, and only tests use them
	programs
)

// rows places every package. Where a new one lies decides what it may know, so it is placed here first.
func rows() map[string]int {
	return map[string]int{
		"bench/measure": ground, "harness/folder": ground, "harness/identity": ground, "harness/pki": ground, "harness/release": ground,
		"internal/await": ground, "internal/loopback": ground, "internal/kernel": ground,

		"harness": nouns, "internal/ledger": nouns, "recovery/dataset": nouns,

		"harness/docker": phases, "harness/fake": phases, "harness/process": phases, "harness/runtimetest": phases,
		"faults": phases, "recovery": phases, "recovery/spoil": phases,
		"recovery/intake": phases, "recovery/fetch": phases, "recovery/offline": phases,
		"recovery/internal/wire": phases, "recovery/internal/blob": phases, "recovery/internal/child": phases,
		"recovery/internal/diagnose": phases, "recovery/internal/serve": phases,
		"recovery/internal/recoverytest": phases, "recovery/internal/offlinetest": phases,
		"internal/bench": phases, "internal/load": phases, "internal/verify": phases, "internal/report": phases,

		"harness/host": choice,

		"drill": assembly, "internal/doctor": assembly, "drill/matchers": matchers,

		"": programs, "bench/gate": programs, "bench/load": programs, "bench/memory": programs, "bench/own": programs,
		"bench/pairs": programs, "bench/rates": programs, "cmd/etcd-drill": programs, "e2e": programs, "scenarios": programs,
	}
}

// rooms are the packages that recovery consists of, from the ground up: each may import those before it.
func rooms() []string {
	return []string{
		"recovery", "recovery/internal/wire", "recovery/internal/blob", "recovery/internal/child", "recovery/internal/diagnose",
		"recovery/internal/serve", "recovery/offline", "recovery/fetch", "recovery/intake",
		"recovery/internal/recoverytest", "recovery/internal/offlinetest",
	}
}

// isRoomBelow tells whether both are rooms of recovery and to lies below from.
func isRoomBelow(to, from string) bool {
	below := slices.Index(rooms(), to)
	return below >= 0 && below < slices.Index(rooms(), from)
}

// mayImportSibling holds the exceptions to "siblings do not import each other": a report carries a verdict, builds of
// one release wait for each other, as does who deletes a folder that others write to, which is done nowhere but in await, and the
// rooms of recovery have an order of their own.
func mayImportSibling(from, to string) bool {
	return from == "internal/report" && to == "internal/verify" ||
		from == "harness/release" && to == "internal/await" ||
		from == "harness/folder" && to == "internal/await" ||
		isRoomBelow(to, from)
}

// forTests are the packages that only tests and each other import. They may lie beside the package whose tests use them.
func forTests() []string {
	return []string{
		"harness/fake", "harness/runtimetest", "drill/matchers", "recovery/spoil",
		"recovery/internal/recoverytest", "recovery/internal/offlinetest",
	}
}

// reserved is something that few packages may import.
type reserved struct {
	prefixes []string // of import paths
	to       []string // packages of this module
	tests    bool     // whether the rule holds for tests, too
}

func reservations() []reserved {
	return []reserved{
		{
			prefixes: []string{"github.com/testcontainers", "github.com/moby/moby", "github.com/docker/docker"},
			to:       []string{"harness/docker"},
			tests:    true,
		},
		{
			prefixes: []string{"go.etcd.io/etcd/etcdutl", "go.etcd.io/etcd/server", "go.etcd.io/bbolt"},
			to:       []string{"recovery/internal/serve", "recovery/dataset", "recovery/internal/recoverytest"},
		},
		{
			prefixes: []string{"testing", "github.com/onsi/ginkgo", "github.com/onsi/gomega"},
			to: []string{
				"harness/runtimetest", "drill/matchers", "recovery/internal/recoverytest", "recovery/internal/offlinetest", "scenarios", "e2e",
			},
		},
		{
			prefixes: []string{module + "/harness/release"},
			to:       []string{"harness/docker", "harness/process", "internal/doctor", "bench/own", "cmd/etcd-drill", "scenarios", "e2e"},
		},
	}
}

// standardOnly import nothing but the standard library. The pure ones also do no I/O beyond an io.Reader or io.Writer, and
// know nothing outside this module, however far down.
func standardOnly() []string {
	return []string{"harness/identity", "harness/pki", "internal/await", "internal/loopback"}
}
func pure() []string { return []string{"internal/ledger", "internal/verify", "internal/report"} }

// still are packages that do no I/O themselves, as the pure ones do, but know something outside this module.
func still() []string { return []string{"recovery"} }
func impure() []string {
	return []string{"os", "io/ioutil", "net", "syscall", "plugin", "runtime/debug", "log", "testing"}
}

// listed is what `go list -json` tells about a package. Deps holds the imports of its imports as well.
type listed struct {
	ImportPath                               string
	Imports, Deps, TestImports, XTestImports []string
}

func (p listed) name() string { return inModule(p.ImportPath) }

// inModule is the path below the module's root, and the path itself for what lies elsewhere.
func inModule(path string) string {
	if path == module {
		return ""
	}
	return strings.TrimPrefix(path, module+"/")
}

func isOurs(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// isStandard follows the rule of the go command: the first element of any other path has a dot.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func matches(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	})
}

// complaints returns what is wrong with where the package lies and what it imports.
func complaints(p listed) []string {
	row, placed := rows()[p.name()]
	if !placed {
		return []string{fmt.Sprintf("%s is placed in no row: add it to rows() in layout_test.go", p.name())}
	}
	var out []string
	for _, path := range p.Imports {
		out = append(out, direction(p.name(), row, path, false)...)
		out = append(out, reservation(p.name(), path, false)...)
	}
	for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
		out = append(out, direction(p.name(), row, path, true)...)
		out = append(out, reservation(p.name(), path, true)...)
	}
	return append(out, purity(p)...)
}

func direction(name string, row int, path string, inTest bool) []string {
	to := inModule(path)
	if !isOurs(path) || (inTest && to == name) {
		return nil
	}
	if slices.Contains(forTests(), to) {
		if inTest || slices.Contains(forTests(), name) {
			return nil
		}
		return []string{fmt.Sprintf("%s imports %s, which is for tests only", name, to)}
	}
	if below, placed := rows()[to]; !placed || below < row || mayImportSibling(name, to) {
		return nil // what lies nowhere has a complaint of its own
	}
	return []string{fmt.Sprintf("%s imports %s, which does not lie below it", name, to)}
}

func reservation(name, path string, inTest bool) []string {
	for _, r := range reservations() {
		if matches(path, r.prefixes) && !slices.Contains(r.to, name) && (!inTest || r.tests) {
			return []string{fmt.Sprintf("%s imports %s, which is reserved to %s", name, path, strings.Join(r.to, ", "))}
		}
	}
	return nil
}

func purity(p listed) []string {
	var out []string
	if slices.Contains(standardOnly(), p.name()) {
		for _, path := range p.Imports {
			if !isStandard(path) {
				out = append(out, fmt.Sprintf("%s imports %s, but may know the standard library only", p.name(), path))
			}
		}
	}
	isPure := slices.Contains(pure(), p.name())
	for _, path := range p.Imports {
		if (isPure || slices.Contains(still(), p.name())) && isStandard(path) && matches(path, impure()) {
			out = append(out, fmt.Sprintf("%s imports %s, but is pure", p.name(), path))
		}
	}
	if !isPure {
		return out
	}
	for _, path := range p.Deps {
		if !isStandard(path) && !isOurs(path) {
			out = append(out, fmt.Sprintf("%s depends on %s, but is pure", p.name(), path))
		}
	}
	return out
}

func TestPackagesLieAsTheDesignDrawsThem(t *testing.T) {
	packages := list(t)
	for _, p := range packages {
		for _, complaint := range complaints(p) {
			t.Error(complaint)
		}
	}
	if !slices.ContainsFunc(packages, func(p listed) bool { return p.name() == "internal/verify" }) {
		t.Errorf("internal/verify is not among the %d packages that were looked at", len(packages))
	}
}

// TestEveryKindOfViolationIsSeen keeps the test above from passing because it sees nothing.
func TestEveryKindOfViolationIsSeen(t *testing.T) {
	ours := func(names ...string) []string {
		for i, name := range names {
			names[i] = module + "/" + name
		}
		return names
	}
	for want, p := range map[string]listed{
		"is placed in no row":            {ImportPath: "internal/util"},
		"imports drill, which does not":  {ImportPath: "faults", Imports: ours("harness", "drill")},
		"imports faults, which does not": {ImportPath: "recovery", Imports: ours("faults")},
		"recovery/offline, which does":   {ImportPath: "recovery", Imports: ours("recovery/offline")},
		"recovery/intake, which does":    {ImportPath: "recovery/fetch", Imports: ours("recovery/intake")},
		"imports internal/load, which":   {ImportPath: "recovery/offline", Imports: ours("internal/load")},
		"recoverytest, which is for":     {ImportPath: "recovery/fetch", Imports: ours("recovery/internal/recoverytest")},
		"imports os, but is pure":        {ImportPath: "recovery", Imports: []string{"os"}},
		"imports recovery, which does":   {ImportPath: "faults", XTestImports: ours("recovery")},
		"identity, which does not lie":   {ImportPath: "harness/release", Imports: ours("harness/identity")},
		"is for tests only":              {ImportPath: "scenarios", Imports: ours("drill/matchers")},
		"reserved to harness/docker":     {ImportPath: "drill", TestImports: []string{"github.com/testcontainers/testcontainers-go"}},
		"reserved to recovery":           {ImportPath: "drill", Imports: []string{"go.etcd.io/etcd/server/v3/embed"}},
		"reserved to harness/runtimet":   {ImportPath: "cmd/etcd-drill", Imports: []string{"testing"}},
		"harness/release, which is res":  {ImportPath: "drill", Imports: ours("harness/release")},
		"the standard library only":      {ImportPath: "internal/await", Imports: []string{"go.uber.org/zap"}},
		"imports os/exec, but is pure":   {ImportPath: "internal/verify", Imports: []string{"io", "os/exec"}},
		"depends on go.uber.org/zap":     {ImportPath: "internal/ledger", Deps: []string{"fmt", "go.uber.org/zap"}},
	} {
		p.ImportPath = module + "/" + p.ImportPath
		if got := complaints(p); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("got %q, want one complaint with %q", got, want)
		}
	}
	for _, p := range []listed{
		{ImportPath: module},
		{ImportPath: module + "/internal/report", Imports: ours("internal/verify", "harness/identity"), Deps: []string{"os"}},
		{ImportPath: module + "/recovery/intake", Imports: ours("recovery", "recovery/offline", "recovery/internal/blob")},
		{ImportPath: module + "/recovery/internal/offlinetest", Imports: append(ours("recovery/internal/recoverytest"), "testing")},
		{ImportPath: module + "/harness/docker", TestImports: append(ours("harness/docker", "harness/runtimetest"), "testing")},
	} {
		if got := complaints(p); len(got) != 0 {
			t.Errorf("complaints about what is allowed: %q", got)
		}
	}
}

func list(t *testing.T) []listed {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps,TestImports,XTestImports", "./...")
	out, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("list packages: %v: %s", err, exit.Stderr)
		}
		t.Fatalf("list packages: %v", err)
	}
	var packages []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("read list of packages: %v", err)
		}
		packages = append(packages, p)
	}
}
