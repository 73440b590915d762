package ledger

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAlike(t *testing.T) {
	block := strings.Repeat("x", readBufferBytes)
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"", "", true}, {"a", "a", true}, {"a", "b", false}, {"a", "", false}, {"", "a", false}, {"a", "ab", false},
		{block, block, true}, {block, block + "a", false}, {block + "a", block, false}, {block + "a", block + "b", false},
		{block + block + "a", block + block + "a", true}, {block + "a", "y" + block, false},
	} {
		opener := func(text string) func() (io.ReadCloser, error) {
			return func() (io.ReadCloser, error) { return io.NopCloser(iotest.HalfReader(strings.NewReader(text))), nil }
		}
		if got, err := Alike(opener(c.a), opener(c.b)); got != c.want || err != nil {
			t.Errorf("of %d and %d bytes: %v, %v", len(c.a), len(c.b), got, err)
		}
	}
	stop := errors.New("gone")
	for _, open := range []func() (io.ReadCloser, error){
		func() (io.ReadCloser, error) { return nil, stop },
		func() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(stop)), nil },
	} {
		if alike, err := Alike(open, open); alike || !errors.Is(err, stop) {
			t.Errorf("%v, %v", alike, err)
		}
	}
}
