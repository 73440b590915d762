package recovery

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

// kubernetes is a snapshot that was saved from under a real API server.
const kubernetes = "testdata/kubernetes-1.36-etcd-3.6.16.db"

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Errorf("%s was left behind in %s", entry.Name(), dir)
	}
}

func readAllOf[T any](t *testing.T, stream ledger.Stream[T]) []T {
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

func opener(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(path) }
}

func sameLines[T comparable](t *testing.T, got, want []T) {
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

func putFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, readAll(t, from), 0o600); err != nil {
		t.Fatal(err)
	}
}

// spoiled writes a damaged copy of a source, which nobody may write to, and returns its path.
func spoiled(t *testing.T, good string, variant spoil.Variant) string {
	t.Helper()
	data, err := variant.Spoil(readAll(t, good))
	path := filepath.Join(t.TempDir(), "source")
	if err == nil {
		err = os.WriteFile(path, data, 0o400)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func digestOf(t *testing.T, path string) string {
	t.Helper()
	return hex.EncodeToString(digestBytes(readAll(t, path)))
}

func digestBytes(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}

func touchByte(t *testing.T, path string, at int) {
	t.Helper()
	data := readAll(t, path)
	data[(at+len(data))%len(data)] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
