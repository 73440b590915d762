package process_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/process"
	"github.com/etcd-drill/etcd-drill/harness/release"
)

// versioned is a program that prints a version and is no etcd.
func versioned(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "etcd")
	check(t, os.WriteFile(path, []byte("#!/bin/sh\necho 'etcd Version: "+version+"'\n"), 0o700))
	return path
}

func TestANamedProgramStandsForItsOwnVersionOnly(t *testing.T) {
	program := versioned(t, "3.6.99")
	runtime := runtimeWith(t, process.Config{Program: program})
	for _, version := range []string{"", "3.6.99"} {
		prepared, err := runtime.Prepare(t.Context(), version)
		if err != nil || prepared.Version != "3.6.99" || prepared.Origin != program {
			t.Errorf("version %q: got %+v, %v", version, prepared, err)
		}
	}
	_, err := runtime.Prepare(t.Context(), "3.6.98")
	if !errors.Is(err, process.ErrNoProgram) || !errors.Is(err, release.ErrUnknownVersion) {
		t.Fatalf("got %v for a version that is neither the program's nor pinned", err)
	}
	for _, hint := range []string{"3.6.98", release.Default, "--binary stands for its own version only"} {
		if !strings.Contains(err.Error(), hint) {
			t.Errorf("%q does not say %q", err, hint)
		}
	}
	if _, err := runtimeWith(t, process.Config{Program: "/nonexistent/etcd"}).Prepare(t.Context(), release.Default); err == nil {
		t.Error("a program that was named and is not there was passed over")
	}
}
