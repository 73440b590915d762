package recovery

import (
	"path/filepath"
	"testing"
)

func sourceAndContents(t *testing.T, path string, kind Kind) (Source, Contents) {
	t.Helper()
	ctx, worker, dir := testContext(t), testWorker(t, "serve"), t.TempDir()
	source, err := Check(ctx, worker, kind, path)
	if err != nil {
		t.Fatal(err)
	}
	contents, err := Extract(ctx, worker, source, Extraction{
		DigestKey: testDigestKey(), History: filepath.Join(dir, "h"), Keyspace: filepath.Join(dir, "k"),
		Leases: filepath.Join(dir, "l"), State: filepath.Join(dir, "s"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return source, contents
}
