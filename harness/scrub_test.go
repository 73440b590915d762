package harness

import (
	"errors"
	"io"
	"strings"
	"testing"
)

type closing struct {
	io.Reader
	err    error
	closed bool
}

func (c *closing) Close() error { c.closed = true; return c.err }

func TestALogIsScrubbedLineByLine(t *testing.T) {
	log := &closing{Reader: strings.NewReader("one\nsecret\n\nlong " + strings.Repeat("x", 100_000) + "\nlast")}
	scrub := func(line string) (string, bool) { return "<" + line + ">", line != "secret" }
	reader := scrubbed(log, scrub)
	text, err := io.ReadAll(reader)
	want := "<one>\n<>\n<long " + strings.Repeat("x", 100_000) + ">\n<last>"
	if err != nil || string(text) != want || !log.closed {
		t.Errorf("%d bytes, want %d: %v, closed %t", len(text), len(want), err, log.closed)
	}
	failing := &closing{Reader: strings.NewReader("one\n"), err: errors.New("lost")}
	if _, err := io.ReadAll(scrubbed(failing, scrub)); !errors.Is(err, failing.err) {
		t.Error(err)
	}
	early := scrubbed(&closing{Reader: strings.NewReader(strings.Repeat("line\n", 1000))}, scrub)
	if err := early.Close(); err != nil {
		t.Error(err)
	}
}
