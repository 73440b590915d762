package process

import (
	"fmt"
	"os"
	"path/filepath"
)

// filesName is the folder in which a node finds its files. It lies on the disk beside the data directory, so that its name is
// the same for every node.
const filesName = "files"

func (d *disk) files() string { return filepath.Join(d.Dir(), filesName) }

// placeFiles writes down a node's files in place of those of the node that was on the disk before.
func (d *disk) placeFiles(files map[string][]byte) error {
	if err := d.removeFiles(); err != nil || len(files) == 0 {
		return err
	}
	if err := os.Mkdir(d.files(), 0o700); err != nil {
		return fmt.Errorf("place files: %w", err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(d.files(), name), content, 0o600); err != nil {
			return fmt.Errorf("place files: %w", err)
		}
	}
	return nil
}

func (d *disk) removeFiles() error {
	if err := os.RemoveAll(d.files()); err != nil {
		return fmt.Errorf("remove files of a node: %w", err)
	}
	return nil
}
