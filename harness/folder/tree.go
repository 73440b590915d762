package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckPath refuses names that are not below the data directory, with an error that wraps fs.ErrInvalid.
func CheckPath(path string) error {
	if !filepath.IsLocal(path) {
		return fmt.Errorf("the path leads out of the data directory: %w", fs.ErrInvalid)
	}
	return nil
}

// Walk calls visit for the root of the tree and everything in it, with names relative to the root. It refuses what a data
// directory cannot hold: symbolic links, which could lead out of it, and other special files.
func Walk(ctx context.Context, root string, visit func(name string, info fs.FileInfo) error) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return fmt.Errorf("%s is neither a file nor a directory", name)
		}
		return visit(name, info)
	})
}

// copyTree copies files and directories with their permissions to a place that does not exist yet.
func copyTree(ctx context.Context, from, to string) error {
	return Walk(ctx, from, func(name string, info fs.FileInfo) error {
		target := filepath.Join(to, name)
		if info.IsDir() {
			return os.Mkdir(target, info.Mode().Perm()|0o700)
		}
		return copyFile(filepath.Join(from, name), target, info.Mode().Perm())
	})
}

// copyFile lets the kernel copy, which shares blocks where the file system can.
func copyFile(from, to string, perm fs.FileMode) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	_, err = io.Copy(target, source)
	return err
}
