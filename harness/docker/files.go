package docker

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/moby/moby/client"
)

// filesDir is where a node finds its files. They are in the container and on no disk, and go with it.
const filesDir = "/etc/etcd-drill"

// placeFiles sends the node's files into its container, which does not run yet.
func (n *node) placeFiles(ctx context.Context, id string) error {
	if len(n.spec.Files) == 0 {
		return nil
	}
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(packFiles(n.spec.Files, n.site.store.user(), writer)) }()
	_, err := n.site.runtime.engine.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: "/", Content: reader})
	if err := errors.Join(err, reader.Close()); err != nil {
		return fmt.Errorf("place files: %w", err)
	}
	return nil
}

// packFiles writes the archive of a node's files. They belong to the container's user, "UID:GID", who alone may read them.
func packFiles(files map[string][]byte, user string, w io.Writer) error {
	owner := tar.Header{Format: tar.FormatPAX}
	if _, err := fmt.Sscanf(user, "%d:%d", &owner.Uid, &owner.Gid); err != nil {
		return fmt.Errorf("read user %q: %w", user, err)
	}
	archive := tar.NewWriter(w)
	folder := owner
	folder.Typeflag, folder.Name, folder.Mode = tar.TypeDir, strings.TrimPrefix(filesDir, "/"), 0o700
	if err := archive.WriteHeader(&folder); err != nil {
		return err
	}
	for name, content := range files {
		file := owner
		file.Typeflag, file.Name, file.Mode, file.Size = tar.TypeReg, folder.Name+"/"+name, 0o600, int64(len(content))
		if err := archive.WriteHeader(&file); err != nil {
			return err
		}
		if _, err := archive.Write(content); err != nil {
			return err
		}
	}
	return archive.Close()
}
