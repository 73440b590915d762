package docker

import (
	"errors"
	"os"
	"testing"
)

// NeedEngine fails the test that could not reach the engine, for this reason. Only where nobody expects an engine is the
// test skipped instead: with ETCD_DRILL_RUNTIME=process, or where auto finds none.
func NeedEngine(t *testing.T, err error) {
	t.Helper()
	switch wanted := os.Getenv("ETCD_DRILL_RUNTIME"); {
	case wanted == "process":
		t.Skip("ETCD_DRILL_RUNTIME=process asks for no engine")
	case wanted != "docker" && (errors.Is(err, ErrNoEngine) || errors.Is(err, ErrNotPermitted)):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}
