package docker

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
)

// rootRecipe changes whenever rootEntries or imageChanges change, so that older images are not reused.
const rootRecipe = "1"

// load makes an image of the programs. It imports a root file system instead of building from a Dockerfile: an import is
// one request with one body, the same since API 1.21 and on podman, makes exactly one layer, starts no container, and
// needs neither the classic builder, which newer engines phase out, nor BuildKit's session.
func (s *imageSearch) load(ctx context.Context, ref string, programs release.Binaries) error {
	var sent atomic.Int64
	stop := release.Tick(s.progress, func(elapsed time.Duration) string {
		return fmt.Sprintf("loading etcd %s into the engine: %.0f MB, %s", s.want, float64(sent.Load())/1e6, elapsed)
	})
	defer stop()

	body, feed := io.Pipe()
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		feed.CloseWithError(writeRoot(io.MultiWriter(feed, &byteCounter{&sent}), programs))
	}()
	defer func() {
		body.CloseWithError(errors.New("the engine stopped reading")) // ends the feeder if it is still at work
		<-fed
	}()
	answer, err := s.engine.ImageImport(ctx, client.ImageImportSource{Source: body, SourceName: "-"}, ref,
		client.ImageImportOptions{Changes: imageChanges(s.want, s.recipe), Message: "etcd " + s.want + " built from module source"})
	if err != nil {
		return fmt.Errorf("load image %s: %w", ref, err)
	}
	return errors.Join(checkAnswer(ref, answer), answer.Close())
}

// checkAnswer reads the engine's messages to their end: an import can fail after its status 200.
func checkAnswer(ref string, answer io.Reader) error {
	for messages := json.NewDecoder(answer); ; {
		var m jsonstream.Message
		err := messages.Decode(&m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && m.Error != nil {
			err = m.Error
		}
		if err != nil {
			return fmt.Errorf("load image %s: %w", ref, err)
		}
	}
}

// imageChanges set what the official image sets as well, and our labels.
func imageChanges(version, recipe string) []string {
	return []string{
		fmt.Sprintf("LABEL %s=%q", labelImageVersion, version),
		fmt.Sprintf("LABEL %s=%q", labelImageRecipe, recipe),
		"ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"WORKDIR /",
		`CMD ["/usr/local/bin/etcd"]`,
	}
}

// rootEntry is one thing in the root file system of the image; content names a file of this machine.
type rootEntry struct {
	header  tar.Header
	content string
}

// rootEntries make a file system that works for every user ID: nothing but /tmp is writable, all else is readable.
func rootEntries(programs release.Binaries) []rootEntry {
	var entries []rootEntry
	for _, dir := range []string{"etc/", "usr/", "usr/local/", "usr/local/bin/"} {
		entries = append(entries, rootEntry{header: tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}})
	}
	entries = append(entries, rootEntry{header: tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}})
	for _, program := range []struct{ name, path string }{
		{"etcd", programs.Etcd}, {"etcdctl", programs.Etcdctl}, {"etcdutl", programs.Etcdutl},
	} {
		entries = append(entries,
			rootEntry{
				header:  tar.Header{Typeflag: tar.TypeReg, Name: "usr/local/bin/" + program.name, Mode: 0o755},
				content: program.path,
			},
			rootEntry{header: tar.Header{
				Typeflag: tar.TypeSymlink, Name: program.name, Linkname: "/usr/local/bin/" + program.name, Mode: 0o777,
			}})
	}
	return entries
}

// writeRoot streams the root file system as a tar archive. Times and owners are fixed: the same programs make the same layer.
func writeRoot(w io.Writer, programs release.Binaries) error {
	archive := tar.NewWriter(w)
	for _, entry := range rootEntries(programs) {
		if err := writeEntry(archive, entry); err != nil {
			return fmt.Errorf("archive %s: %w", entry.header.Name, err)
		}
	}
	return archive.Close()
}

func writeEntry(archive *tar.Writer, entry rootEntry) (err error) {
	header := entry.header
	header.ModTime = time.Unix(0, 0)
	if entry.content == "" {
		return archive.WriteHeader(&header)
	}
	file, err := os.Open(entry.content)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header.Size = info.Size()
	if err := archive.WriteHeader(&header); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}

// discard removes an image that turned out to be of no use, also when the search was cancelled.
func (s *imageSearch) discard(ctx context.Context, ref string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if _, err := s.engine.ImageRemove(ctx, ref, client.ImageRemoveOptions{Force: true}); err != nil && !isAbsent(err) {
		return fmt.Errorf("remove image %s: %w", ref, err)
	}
	return nil
}

type byteCounter struct{ n *atomic.Int64 }

func (c *byteCounter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}
