package blob

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// SegmentsIn names the segments of a log in their order. A folder that is not there has none.
func SegmentsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, entry := range entries { // sorted by name, which is their order
		if _, named := SequenceOf(entry.Name()); named && entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	return names, err
}

// SequenceOf reads the name of a segment, SEQUENCE-INDEX.wal (walName in etcd's server/storage/wal/util.go).
func SequenceOf(name string) (sequence uint64, ok bool) {
	var index uint64
	n, err := fmt.Sscanf(name, "%016x-%016x.wal", &sequence, &index)
	return sequence, err == nil && n == 2 && name == fmt.Sprintf("%016x-%016x.wal", sequence, index)
}

// CopySegments copies the segments of a log and leaves holes where they are not filled yet: etcd allocates 64 MB ahead.
func CopySegments(ctx context.Context, from, to string) error {
	names, err := SegmentsIn(from)
	if err == nil {
		err = os.Mkdir(to, 0o700)
	}
	for _, name := range names {
		if err == nil {
			err = copySparse(ctx, filepath.Join(from, name), filepath.Join(to, name))
		}
	}
	return err
}
