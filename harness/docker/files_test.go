package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestFilesBelongToTheNodesUserAlone(t *testing.T) {
	var packed bytes.Buffer
	if err := packFiles(map[string][]byte{"key.pem": []byte("key")}, "1000:1001", &packed); err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"etc/etcd-drill": 0o700, "etc/etcd-drill/key.pem": 0o600}
	for archive := tar.NewReader(&packed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Mode != want[header.Name] || header.Uid != 1000 || header.Gid != 1001 {
			t.Errorf("%s has mode %o and belongs to %d:%d", header.Name, header.Mode, header.Uid, header.Gid)
		}
		delete(want, header.Name)
	}
	if len(want) > 0 {
		t.Errorf("the archive lacks %v", want)
	}
	if err := packFiles(nil, "nobody", io.Discard); err == nil {
		t.Error("a user without numbers was taken")
	}
}
