package intake

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxEntries bounds how many entries of an archive are looked at; a data directory has some dozens.
const maxEntries = 10_000

// entry is one thing in an archive.
type entry struct {
	name    string
	regular bool
	dir     bool
	open    func() (io.ReadCloser, error)
}

// untar reads an archive as it comes.
func (u *unpacking) untar(from io.Reader) (contained, error) {
	archive := tar.NewReader(from)
	picking := &picking{u: u}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return picking.result()
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // what a name may be is decided here
			return contained{}, err
		}
		err = picking.take(entry{
			name: header.Name, regular: header.Typeflag == tar.TypeReg, dir: header.Typeflag == tar.TypeDir,
			open: func() (io.ReadCloser, error) { return io.NopCloser(archive), nil },
		})
		if err != nil {
			return contained{}, err
		}
	}
}

// unzip reads an archive by its directory, which is at its end; what comes through a pipe is written down first.
func (u *unpacking) unzip(body *bufio.Reader) (contained, error) {
	file, size := u.file, u.size
	if file == nil {
		spool := filepath.Join(u.in.Dir, "packed.zip")
		defer func() { _ = os.Remove(spool) }() // it goes with the folder in any case
		n, err := u.write(spool, body)
		if err != nil {
			return contained{}, err
		}
		u.written = 0 // the bound is for what is in it
		if file, err = os.Open(spool); err != nil {
			u.failed = err
			return contained{}, err
		}
		defer func() { _ = file.Close() }() // read only
		size = n
	}
	archive, err := zip.NewReader(file, size)
	if errors.Is(err, zip.ErrFormat) && u.streamed {
		return contained{}, io.ErrUnexpectedEOF // its directory did not come
	}
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return contained{}, err
	}
	picking := &picking{u: u}
	for _, f := range archive.File {
		const encrypted = 0x1
		if f.Flags&encrypted != 0 {
			return contained{}, u.wrong("%q in it is encrypted; decrypt it yourself", f.Name)
		}
		err := picking.take(entry{name: f.Name, regular: f.Mode().IsRegular(), dir: f.Mode().IsDir(), open: f.Open})
		if err != nil {
			return contained{}, err
		}
	}
	return picking.result()
}

// picking takes the one backup out of an archive, and refuses everything else.
type picking struct {
	u       *unpacking
	entries int
	file    contained
	root    string // of the data directory in the archive
	member  bool   // whether there is one
}

// take writes the entry to its place.
func (p *picking) take(e entry) error {
	if p.entries++; p.entries > maxEntries {
		return p.u.wrong("it has more than %d entries", maxEntries)
	}
	name := path.Clean(strings.TrimPrefix(e.name, "./"))
	switch {
	case !filepath.IsLocal(name) && name != "." || strings.ContainsAny(e.name, "\\\x00"):
		return p.u.wrong("the path %q leads out of it", e.name)
	case e.dir:
		return nil
	case !e.regular:
		return p.u.wrong("%q is neither a file nor a folder", e.name)
	}
	target := p.u.target()
	root, inside, isMember := memberFile(name)
	switch {
	case isMember && p.file.file != "", !isMember && (p.member || p.file.file != ""):
		return p.u.wrong("it holds %q beside %q; unpack it yourself, and name the file or the data directory", name, p.first())
	case isMember && p.member && root != p.root:
		return p.u.wrong("it holds the data directories %q and %q; unpack it yourself, and name one", p.root, root)
	case isMember:
		p.member, p.root = true, root
		target = filepath.Join(p.directory(), filepath.FromSlash(inside))
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			p.u.failed = err
			return err
		}
	}
	content, err := e.open()
	if err != nil {
		return err
	}
	n, err := p.u.write(target, content)
	if closed := content.Close(); err == nil {
		err = closed // zip checks its sum there
	}
	if !isMember {
		p.file = contained{file: target, inside: name, bytes: n}
	}
	return err
}

func (p *picking) directory() string { return filepath.Join(p.u.in.Dir, "unpacked") }

// first names what was taken so far.
func (p *picking) first() string {
	if p.member {
		return p.root
	}
	return p.file.inside
}

func (p *picking) result() (contained, error) {
	switch {
	case p.member:
		return contained{directory: p.directory()}, nil
	case p.file.file == "":
		return contained{}, p.u.wrong("it holds no file")
	}
	return p.file, nil
}

// memberFile tells whether this is the name of a file of a member, in the folder snap or wal of a data directory: the directory, and
// the name in it.
func memberFile(name string) (root, inside string, ok bool) {
	dir, file := path.Split(name)
	dir = path.Clean(dir)
	folder := path.Base(dir)
	member := path.Dir(dir)
	if file == "" || folder != "snap" && folder != "wal" || path.Base(member) != "member" {
		return "", "", false
	}
	return path.Dir(member), path.Join("member", folder, file), true
}
