package docker

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/etcd-drill/etcd-drill/harness/folder"
)

// pack writes a directory as an archive whose one root is the data directory. All of it belongs to root, as the member does
// that will use it.
func pack(ctx context.Context, dir string, w io.Writer) error {
	archive := tar.NewWriter(w)
	err := folder.Walk(ctx, dir, func(name string, info fs.FileInfo) error {
		if name == "." && !info.IsDir() {
			return errors.New("not a directory")
		}
		header := &tar.Header{
			Name:     path.Join(folder.DataName, filepath.ToSlash(name)),
			Typeflag: tar.TypeDir,
			Mode:     int64(info.Mode().Perm()),
			ModTime:  info.ModTime(),
			Format:   tar.FormatPAX,
		}
		if info.IsDir() {
			return archive.WriteHeader(header)
		}
		header.Typeflag, header.Size = tar.TypeReg, info.Size()
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		return packFile(filepath.Join(dir, name), archive)
	})
	if err != nil {
		return err // the archive stays without its end, so that nobody takes it for whole
	}
	return archive.Close()
}

func packFile(name string, w io.Writer) (err error) {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = io.Copy(w, file)
	return err
}

// packReplacement writes the archive that empties a data directory: first a file of its name, then a directory.
func packReplacement(w io.Writer) error {
	archive := tar.NewWriter(w)
	err := errors.Join(
		archive.WriteHeader(&tar.Header{Name: folder.DataName, Typeflag: tar.TypeReg, Mode: 0o600}),
		archive.WriteHeader(&tar.Header{Name: folder.DataName, Typeflag: tar.TypeDir, Mode: 0o700}),
	)
	return errors.Join(err, archive.Close())
}
