package recoverytest

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/recovery/spoil"
)

// Kubernetes is a snapshot that was saved from under a real API server; the path leads there from every room of recovery.
const Kubernetes = "../testdata/kubernetes-1.36-etcd-3.6.16.db"

// AssertEmpty names what lies in a directory that should hold nothing.
func AssertEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Errorf("%s was left behind in %s", entry.Name(), dir)
	}
}

// Collect reads a stream to its end.
func Collect[T any](t *testing.T, stream ledger.Stream[T]) []T {
	t.Helper()
	var values []T
	for value, err := range stream {
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	return values
}

// Opener opens a file, as readers of streams want it.
func Opener(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(path) }
}

// SameLines wants the same values, and more than none.
func SameLines[T comparable](t *testing.T, got, want []T) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%d lines, want %d and more than none", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("line %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

// PutFile copies a file, and makes its folder if it is missing.
func PutFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, ReadAll(t, from), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Spoiled writes a damaged copy of a source, which nobody may write to, and returns its path.
func Spoiled(t *testing.T, good string, variant spoil.Variant) string {
	t.Helper()
	data, err := variant.Spoil(ReadAll(t, good))
	path := filepath.Join(t.TempDir(), "source")
	if err == nil {
		err = os.WriteFile(path, data, 0o400)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// DigestOf is the SHA-256 of a file, in hexadecimal.
func DigestOf(t *testing.T, path string) string {
	t.Helper()
	return hex.EncodeToString(DigestBytes(ReadAll(t, path)))
}

// DigestBytes is a SHA-256.
func DigestBytes(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}

// TouchByte changes a byte of a file; a negative place counts from the end.
func TouchByte(t *testing.T, path string, at int) {
	t.Helper()
	data := ReadAll(t, path)
	data[(at+len(data))%len(data)] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ReadAll is the content of a file.
func ReadAll(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
