package blob

import (
	"errors"
	"os"
)

// ImageBytes tells how far the pages of a database reach; 0 if that cannot be told.
func ImageBytes(path string, size int64) int64 {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }() // read only
	meta, _, err := readMeta(file, size)
	if err != nil {
		return 0
	}
	return meta.imageBytes()
}

// CutToPages takes away what bbolt allocated in advance.
func CutToPages(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // synced below
	info, err := file.Stat()
	if err != nil {
		return err
	}
	meta, _, err := readMeta(file, info.Size())
	if err != nil {
		return err
	}
	return errors.Join(file.Truncate(min(meta.imageBytes(), info.Size())), file.Sync())
}
