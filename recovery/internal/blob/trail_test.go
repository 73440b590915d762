package blob

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func TestATrailReadsAllThatWasWrittenAndNothingElse(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		path := filepath.Join(t.TempDir(), "file")
		written := make([]byte, random.IntN(5000))
		for i := range written {
			written[i] = byte(random.Uint32())
		}
		trail := NewTrail(path)
		got := make(chan []byte, 1)
		go func() {
			all, err := io.ReadAll(trail)
			if err := errors.Join(err, trail.Close()); err != nil {
				t.Error(err)
			}
			got <- all
		}()
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(written); {
			n := min(1+random.IntN(900), len(written)-at)
			// What is not announced yet is there in another form.
			if _, err := file.WriteAt(bytes.Repeat([]byte{'?'}, len(written)-at), int64(at)); err != nil {
				t.Fatal(err)
			}
			if _, err := file.WriteAt(written[at:at+n], int64(at)); err != nil {
				t.Fatal(err)
			}
			at += n
			trail.Reached(int64(at))
		}
		trail.End()
		if all := <-got; !bytes.Equal(all, written) {
			t.Errorf("seed %d: %d bytes of %d, or others", seed, len(all), len(written))
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestATrailOfAFileThatDoesNotComeEnds(t *testing.T) {
	trail := NewTrail(filepath.Join(t.TempDir(), "none"))
	trail.End()
	if all, err := io.ReadAll(trail); err != nil || len(all) > 0 {
		t.Errorf("%d bytes, %v", len(all), err)
	}
	trail = NewTrail(filepath.Join(t.TempDir(), "none"))
	trail.Reached(1)
	if _, err := io.ReadAll(trail); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
