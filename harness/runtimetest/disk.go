package runtimetest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
)

const (
	backend = "member/snap/db"
	// firstLog is the first segment of the write-ahead log (server/storage/wal: walName(0, 0)).
	firstLog = "member/wal/0000000000000000-0000000000000000.wal"
)

// disk fetches from, copies and erases a disk.
func disk(t *testing.T, rt harness.Runtime) {
	b := newBench(t, rt)
	m := b.single()
	m.put("key", "original")
	m.end(harness.Terminate)

	if db := fetch(b.ctx, t, m.disk, backend); len(db) == 0 {
		t.Error("the backend's file is empty")
	}
	for path, missing := range map[string]bool{
		"member/snap/none":             true,
		"none/at/all":                  true,
		"../data/" + backend:           false,
		"member/../../data/" + backend: false,
		"/etc/passwd":                  false,
		"":                             false,
		"member":                       false,
	} {
		var content bytes.Buffer
		err := m.disk.Fetch(b.ctx, path, &content)
		if err == nil || content.Len() > 0 || errors.Is(err, fs.ErrNotExist) != missing {
			t.Errorf("fetching %q gave %d bytes and %v; want fs.ErrNotExist: %t", path, content.Len(), err, missing)
		}
	}

	layout := b.layout(1)
	copied := b.disk("copy")
	must(t, m.disk.CopyTo(b.ctx, copied))
	refused(t, "copying to a disk that has data", m.disk.CopyTo(b.ctx, copied))
	refused(t, "copying a disk without data", b.disk("empty").CopyTo(b.ctx, b.disk("empty2")))
	second := b.member(birth{layout: layout, seat: layout.Seats[0], node: "second", disk: copied})
	must(t, second.Start(b.ctx))
	second.mustAnswer()
	second.wants("key", "original")
	second.put("key", "copy")
	second.end(harness.Terminate)
	must(t, m.Start(b.ctx))
	m.mustAnswer()
	m.wants("key", "original")
	m.end(harness.Kill)

	must(t, m.disk.Erase(b.ctx))
	must(t, m.disk.Erase(b.ctx))
	must(t, b.disk("untouched").Erase(b.ctx))
	if err := m.disk.Fetch(b.ctx, backend, &bytes.Buffer{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an erased disk yields %v", err)
	}
	must(t, m.Start(b.ctx))
	m.mustAnswer()
	m.wants("key", "")
}

// adopt boots a member on a directory that this machine prepared.
func adopt(t *testing.T, rt harness.Runtime) {
	b := newBench(t, rt)
	m := b.single()
	m.put("key", "adopted")
	m.end(harness.Terminate)
	layout := b.layout(1)
	for name, parent := range map[string]string{"near": b.site.Scratch(), "far": t.TempDir()} {
		dir := filepath.Join(parent, name)
		for _, file := range []string{backend, firstLog} {
			target := filepath.Join(dir, file)
			must(t, os.MkdirAll(filepath.Dir(target), 0o700))
			must(t, os.WriteFile(target, fetch(b.ctx, t, m.disk, file), 0o600))
		}
		adopted := b.disk(name)
		refused(t, "adopting a directory that is not there", adopted.Adopt(b.ctx, filepath.Join(dir, "none")))
		refused(t, "adopting a file", adopted.Adopt(b.ctx, filepath.Join(dir, backend)))
		if err := adopted.Fetch(b.ctx, backend, &bytes.Buffer{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after a refused adoption the disk yields %v", err)
		}
		must(t, adopted.Adopt(b.ctx, dir))
		must(t, os.MkdirAll(filepath.Join(parent, "late"), 0o700))
		refused(t, "adopting on a disk that has data", adopted.Adopt(b.ctx, filepath.Join(parent, "late")))
		reborn := b.member(birth{layout: layout, seat: layout.Seats[0], node: "on-" + name, disk: adopted})
		must(t, reborn.Start(b.ctx))
		reborn.mustAnswer()
		reborn.wants("key", "adopted")
		reborn.end(harness.Kill)

		must(t, adopted.Erase(b.ctx))
		must(t, adopted.Adopt(b.ctx, filepath.Join(parent, "late")))
	}
}

// symlink checks that a link in an adopted directory opens nothing outside the disk.
func symlink(t *testing.T, rt harness.Runtime) {
	b := newBench(t, rt)
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	dir := filepath.Join(b.site.Scratch(), "linked")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Symlink(secret, filepath.Join(dir, "link")))
	must(t, os.Symlink(filepath.Dir(secret), filepath.Join(dir, "folder")))
	target := b.disk("linked")
	if err := target.Adopt(b.ctx, dir); err != nil {
		return // refused, so there is nothing to follow
	}
	for _, path := range []string{"link", "folder/secret"} {
		var content bytes.Buffer
		if err := target.Fetch(b.ctx, path, &content); err == nil || content.Len() > 0 {
			t.Errorf("fetching %s followed a link out of the disk: %q, %v", path, content.String(), err)
		}
	}
}
