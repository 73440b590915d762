package intake

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/offlinetest"
	"github.com/etcd-drill/etcd-drill/recovery/internal/recoverytest"
)

const kubernetesSHA256 = "9b0ba313f8118a9b16e366a321f09ab86c685abf3b7198ac61d887b0ca440c83"

// packed is one file of an archive.
type packedFile struct {
	name string
	data []byte
	link bool
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	finish(t, w, data)
	return out.Bytes()
}

func zstded(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	finish(t, w, data)
	return out.Bytes()
}

func finish(t *testing.T, w io.WriteCloser, data []byte) {
	t.Helper()
	_, err := w.Write(data)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
}

func zipped(t *testing.T, files ...packedFile) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		header.SetMode(0o600)
		if f.link {
			header.SetMode(os.ModeSymlink | 0o777)
		}
		part, err := w.CreateHeader(header)
		if err == nil {
			_, err = part.Write(f.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func tarred(t *testing.T, files ...packedFile) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.data)), Typeflag: tar.TypeReg}
		if f.link {
			header.Typeflag, header.Linkname, header.Size = tar.TypeSymlink, string(f.data), 0
		}
		err := w.WriteHeader(header)
		if err == nil && !f.link {
			_, err = w.Write(f.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestABackupIsTheSameHoweverItIsPacked(t *testing.T) {
	ctx := recoverytest.Context(t)
	data := recoverytest.ReadAll(t, recoverytest.Kubernetes)
	snapshot := packedFile{name: "backups/etcd-snapshot-1784", data: data}
	for name, c := range map[string]struct {
		data    []byte
		packing []string
		inside  string
	}{
		"plain":      {data, nil, ""},
		"gzip":       {gzipped(t, data), []string{"gzip"}, ""},
		"two gzips":  {append(gzipped(t, data[:5000]), gzipped(t, data[5000:])...), []string{"gzip"}, ""},
		"zstd":       {zstded(t, data), []string{"zstd"}, ""},
		"zip of k3s": {zipped(t, packedFile{name: "on-demand-k0-1784.zip", data: data}), []string{"zip"}, "on-demand-k0-1784.zip"},
		"tar":        {tarred(t, snapshot), []string{"tar"}, snapshot.name},
		"tar.gz":     {gzipped(t, tarred(t, snapshot)), []string{"gzip", "tar"}, snapshot.name},
		"tar.zst":    {zstded(t, tarred(t, snapshot)), []string{"zstd", "tar"}, snapshot.name},
	} {
		for _, streamed := range []bool{false, true} {
			label := name + " in a file"
			in := Offer{Path: filepath.Join(t.TempDir(), "misleading.txt"), Dir: filepath.Join(t.TempDir(), "in")}
			if err := os.WriteFile(in.Path, c.data, 0o400); err != nil {
				t.Fatal(err)
			}
			if streamed {
				label, in.Stream = name+" in a stream", bytes.NewReader(c.data)
			}
			t.Run(label, func(t *testing.T) {
				before, worker := recoverytest.DigestOf(t, in.Path), offlinetest.Worker(t)
				received, err := Receive(ctx, worker, in)
				if err != nil {
					t.Fatal(err)
				}
				if received.Form != recovery.FormSnapshot || !slices.Equal(received.Packing, c.packing) || received.Inside != c.inside {
					t.Errorf("got %+v", received)
				}
				source, err := received.Check(ctx, worker)
				if err != nil {
					t.Fatal(err)
				}
				if source.SHA256 != kubernetesSHA256 || source.Kind != recovery.SavedSnapshot || source.RestorePoint != 631 || source.Keys != 547 {
					t.Errorf("got %+v", source)
				}
				if recoverytest.DigestOf(t, in.Path) != before {
					t.Error("what was given was changed")
				}
				onlyOursIsClosed(t, received.Path, in)
			})
		}
	}
}

// onlyOursIsClosed demands that what was unpacked is nobody else's to read.
func onlyOursIsClosed(t *testing.T, path string, in Offer) {
	t.Helper()
	if path == in.Path {
		return
	}
	for what, mode := range map[string]os.FileMode{path: 0o600, in.Dir: 0o700} {
		info, err := os.Stat(what)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want %v", what, info.Mode(), err, mode)
		}
	}
}

func TestWhatIsNoBackupIsRefusedWithItsReason(t *testing.T) {
	ctx := recoverytest.Context(t)
	data := recoverytest.ReadAll(t, recoverytest.Kubernetes)
	cut := func(b []byte) []byte { return b[:len(b)*2/3] }
	broken := func(b []byte, at int) []byte {
		b = slices.Clone(b)
		b[len(b)-at] ^= 0x40
		return b
	}
	one, two := packedFile{name: "one.db", data: data}, packedFile{name: "two.db", data: data}
	link := packedFile{name: "one.db", data: []byte("/etc/shadow"), link: true}
	for name, c := range map[string]noBackup{
		"nothing":                {nil, recovery.ErrEmpty, recovery.ErrEndedEarly},
		"an error of a client":   {[]byte("An error occurred (404): Not Found\n"), recovery.ErrNotBolt, recovery.ErrEndedEarly},
		"text":                   {bytes.Repeat([]byte("not a backup\n"), 1000), recovery.ErrNotBolt, recovery.ErrNotBolt},
		"a snapshot cut":         {data[:400_000], recovery.ErrTruncated, recovery.ErrEndedEarly},
		"gzip cut":               {cut(gzipped(t, data)), recovery.ErrBadArchive, recovery.ErrEndedEarly},
		"gzip without its sum":   {broken(gzipped(t, data), 8), recovery.ErrBadArchive, recovery.ErrBadArchive},
		"gzip and something":     {append(gzipped(t, data), "more"...), recovery.ErrBadArchive, recovery.ErrEndedEarly},
		"zstd cut":               {cut(zstded(t, data)), recovery.ErrBadArchive, recovery.ErrEndedEarly},
		"zstd without its sum":   {broken(zstded(t, data), 2), recovery.ErrBadArchive, recovery.ErrBadArchive},
		"zip cut":                {cut(zipped(t, one)), recovery.ErrBadArchive, recovery.ErrEndedEarly},
		"zip with a flipped bit": {broken(zipped(t, one), 40_000), recovery.ErrBadArchive, recovery.ErrBadArchive},
		"tar cut":                {cut(tarred(t, one)), recovery.ErrBadArchive, recovery.ErrEndedEarly},
		"zip of two":             {zipped(t, one, two), recovery.ErrWrongArchive, recovery.ErrWrongArchive},
		"tar of two":             {tarred(t, one, two), recovery.ErrWrongArchive, recovery.ErrWrongArchive},
		"zip of none":            {zipped(t), recovery.ErrWrongArchive, recovery.ErrWrongArchive},
		"tar that climbs":        {tarred(t, packedFile{name: "../one.db", data: data}), recovery.ErrWrongArchive, recovery.ErrWrongArchive},
		"tar from the root":      {tarred(t, packedFile{name: "/etc/one.db", data: data}), recovery.ErrWrongArchive, recovery.ErrWrongArchive},
		"zip that climbs":        {zipped(t, packedFile{name: "a/../../one.db", data: data}), recovery.ErrWrongArchive, recovery.ErrWrongArchive},
		"zip that climbs in \\":  {zipped(t, packedFile{name: `..\one.db`, data: data}), recovery.ErrWrongArchive, recovery.ErrWrongArchive},
		"tar with a link":        {tarred(t, link), recovery.ErrWrongArchive, recovery.ErrWrongArchive},
		"zip with a link":        {zipped(t, link), recovery.ErrWrongArchive, recovery.ErrWrongArchive},
		"gzip in gzip":           {gzipped(t, gzipped(t, data)), recovery.ErrWrongArchive, recovery.ErrWrongArchive},
		"zip in zstd":            {zstded(t, zipped(t, one)), recovery.ErrWrongArchive, recovery.ErrWrongArchive},
		"two data directories": {tarred(t, packedFile{name: "a/member/snap/db", data: data}, packedFile{name: "b/member/snap/db", data: data}),
			recovery.ErrWrongArchive, recovery.ErrWrongArchive},
		"a directory beside a file": {tarred(t, packedFile{name: "a/member/snap/db", data: data}, one), recovery.ErrWrongArchive,
			recovery.ErrWrongArchive},
		"a bomb of gzip": {gzipped(t, make([]byte, 3<<20)), recovery.ErrTooLarge, recovery.ErrTooLarge},
		"a bomb of zstd": {zstded(t, make([]byte, 3<<20)), recovery.ErrTooLarge, recovery.ErrTooLarge},
		"a bomb of zip":  {zipped(t, packedFile{name: "b", data: make([]byte, 3<<20)}), recovery.ErrTooLarge, recovery.ErrTooLarge},
		"a failed restore": {tarred(t, packedFile{name: "m1.etcd/member/snap/db", data: data}), recovery.ErrPoisoned,
			recovery.ErrPoisoned},
	} {
		for _, streamed := range []bool{false, true} {
			label, want := name+" in a file", c.file
			in := Offer{Path: filepath.Join(t.TempDir(), "backup"), Dir: filepath.Join(t.TempDir(), "in"), MaxBytes: 2 << 20}
			if err := os.WriteFile(in.Path, c.data, 0o400); err != nil {
				t.Fatal(err)
			}
			if streamed {
				label, want, in.Stream = name+" in a stream", c.streamed, bytes.NewReader(c.data)
			}
			t.Run(label, func(t *testing.T) { isRefused(t, ctx, in, want) })
		}
	}
}

// noBackup is something that is handed over as a backup, and what is wrong with it.
type noBackup struct {
	data     []byte
	file     error // what it is in a file
	streamed error
}

// isRefused demands that an intake is refused for this reason, and that nothing is left where it does not belong.
func isRefused(t *testing.T, ctx context.Context, in Offer, want error) {
	t.Helper()
	worker := offlinetest.Worker(t)
	received, err := Receive(ctx, worker, in)
	if err == nil {
		_, err = received.Check(ctx, worker)
	}
	var bad *recovery.SourceError
	if !errors.Is(err, want) || !errors.As(err, &bad) {
		t.Fatalf("got %v, want %v", err, want)
	}
	t.Log(err)
	damaged := slices.Contains([]error{recovery.ErrEmpty, recovery.ErrNotBolt, recovery.ErrTruncated, recovery.ErrBadArchive}, want)
	if recovery.ProvedBad(err) != damaged {
		t.Errorf("proved bad: %t", recovery.ProvedBad(err))
	}
	for _, dir := range []string{filepath.Dir(in.Path), filepath.Dir(in.Dir), in.Dir} {
		onlyKnownFiles(t, dir)
	}
}

// onlyKnownFiles demands that nothing went where it does not belong.
func onlyKnownFiles(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains([]string{"backup", "in", "backup.db", "unpacked"}, e.Name()) {
			t.Errorf("%s lies in %s", e.Name(), dir)
		}
	}
}

func TestAFileThatIsWrittenToWhileItIsReadIsRefused(t *testing.T) {
	ctx := recoverytest.Context(t)
	data := recoverytest.ReadAll(t, recoverytest.Kubernetes)
	for name, c := range map[string]struct {
		given    []byte
		sameTime bool // the file system's clock is too coarse to show it
		write    func(path string) error
	}{
		"packed, and grows": {gzipped(t, data), true, func(path string) error { return appendTo(path, "more") }},
		"plain, and grows":  {data[:500_000], true, func(path string) error { return appendTo(path, "more") }},
		"plain, and another takes its place": {data, true, func(path string) error {
			return errors.Join(os.WriteFile(path+".new", data, 0o600), os.Rename(path+".new", path))
		}},
		"plain, and one bit of it changes": {data, false, func(path string) error {
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			_, err = file.WriteAt([]byte{data[600] ^ 1}, 600)
			return errors.Join(err, file.Close(), os.Chtimes(path, time.Time{}, time.Now().Add(time.Second)))
		}},
		"plain, and goes": {data, false, os.Remove},
	} {
		t.Run(name, func(t *testing.T) {
			worker := offlinetest.Worker(t)
			path := filepath.Join(t.TempDir(), "backup")
			if err := os.WriteFile(path, c.given, 0o600); err != nil {
				t.Fatal(err)
			}
			written := false
			write := func() {
				if !written {
					written = true
					before, err := os.Stat(path)
					if err := errors.Join(err, c.write(path)); err != nil {
						t.Error(err)
					}
					if c.sameTime {
						if err := os.Chtimes(path, time.Time{}, before.ModTime()); err != nil {
							t.Error(err)
						}
					}
				}
			}
			received, err := Receive(ctx, worker, Offer{Path: path, Dir: t.TempDir(), Progress: func(int64) { write() }})
			if err == nil { // a plain file stays where it is, so that it is the check that reads it
				write()
				_, err = received.Check(ctx, worker)
			}
			if !errors.Is(err, recovery.ErrInUse) || recovery.ProvedBad(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func appendTo(path, text string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

func TestADataDirectoryIsTakenWhole(t *testing.T) {
	ctx := recoverytest.Context(t)
	server, _ := recoverytest.StartSingle(t, ctx)
	recoverytest.Fill(t, ctx, server.Client, 50)
	worker := offlinetest.Worker(t)
	if _, err := Receive(ctx, worker, Offer{Path: server.Dir, Dir: t.TempDir()}); !errors.Is(err, recovery.ErrInUse) {
		t.Errorf("of a member that runs: %v", err)
	}
	revision := recoverytest.LookAt(t, ctx, server.Client).Revision
	server.Stop()
	db, err := os.ReadFile(filepath.Join(server.Dir, blob.DBFile))
	if err != nil {
		t.Fatal(err)
	}
	var files []packedFile
	for _, pattern := range []string{"member/snap/*", "member/wal/*.wal"} {
		paths, err := filepath.Glob(filepath.Join(server.Dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			inside, err := filepath.Rel(server.Dir, path)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, packedFile{name: "./var/lib/etcd/" + inside, data: recoverytest.ReadAll(t, path)})
		}
	}
	archive := zstded(t, tarred(t, files...))
	for name, in := range map[string]Offer{
		"directory": {Path: server.Dir},
		"archive":   {Path: "-", Stream: bytes.NewReader(archive)},
	} {
		t.Run(name, func(t *testing.T) {
			in.Dir = t.TempDir()
			received, err := Receive(ctx, worker, in)
			if err != nil {
				t.Fatal(err)
			}
			if received.Form != recovery.FormDirectory || received.Kind != recovery.DBCopy || received.Log == nil ||
				received.Log.Behind.Writes != 0 {
				t.Errorf("got %+v", received)
			}
			source, err := received.Check(ctx, worker)
			if err != nil || source.RestorePoint != revision || !bytes.Equal(recoverytest.ReadAll(t, received.Path), db) {
				t.Errorf("got %+v, %v; want revision %d", source, err, revision)
			}
		})
	}
}
