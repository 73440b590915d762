package blob

import (
	"errors"
	"io"
	"os"
)

// Trail reads a file while another goroutine writes it, from its beginning and never further than was written.
type Trail struct {
	path  string
	news  chan int64 // how far the writer has come; only the latest is kept
	file  *os.File
	at    int64
	reach int64
}

// NewTrail returns a Trail of a file that need not be there before the first call of Reached.
func NewTrail(path string) *Trail { return &Trail{path: path, news: make(chan int64, 1)} }

// Reached says how many bytes have been written. Only the writer calls it, and never after End.
func (t *Trail) Reached(bytes int64) {
	select {
	case <-t.news:
	default:
	}
	t.news <- bytes
}

// End says that nothing more will be written.
func (t *Trail) End() { close(t.news) }

// Read implements io.Reader. It waits for the writer, and ends where the writer did.
func (t *Trail) Read(p []byte) (int, error) {
	for t.at == t.reach {
		reach, more := <-t.news
		if !more {
			return 0, io.EOF
		}
		t.reach = reach
	}
	if t.file == nil {
		file, err := os.Open(t.path)
		if err != nil {
			return 0, err
		}
		t.file = file
	}
	n, err := t.file.ReadAt(p[:min(int64(len(p)), t.reach-t.at)], t.at)
	t.at += int64(n)
	if errors.Is(err, io.EOF) && n > 0 {
		err = nil
	}
	return n, err
}

// Close closes the file. The reader calls it.
func (t *Trail) Close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}
