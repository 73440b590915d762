package fetch

import (
	"context"
	"fmt"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
)

// Copy fetches the db file of a stopped member into a new file, with the same care as Save. There is no hash to verify; a
// copy made while the member runs is torn about as often as not, and offline.Check finds only tears in its structure.
func Copy(ctx context.Context, disk harness.Disk, path string, opts ...Option) (Stored, error) {
	stored, err := fetch(path, opts, func(part *partFile) (string, error) {
		if err := disk.Fetch(ctx, blob.DBFile, part); err != nil {
			return "", err
		}
		if part.size == 0 {
			return "", recovery.ErrEmpty
		}
		return "", nil
	})
	if err != nil {
		return Stored{}, fmt.Errorf("copy %s: %w", blob.DBFile, err)
	}
	return stored, nil
}
