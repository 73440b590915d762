package blob

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

func TestACopyOfALogHasHoles(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	data := make([]byte, 5<<20+123)
	copy(data[3<<20:], "in the middle")
	if err := os.WriteFile(from, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := copySparse(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if recoverytest.DigestOf(t, from) != recoverytest.DigestOf(t, to) {
		t.Error("the copy differs")
	}
	if used := blocks(t, to); used > 1<<20 {
		t.Errorf("the copy takes %d bytes", used)
	}
	if err := copySparse(t.Context(), to, to); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v", err)
	}
}
