package process

import (
	"os"
	"testing"
	"time"
)

func TestAProcessIsMeasured(t *testing.T) {
	before, err := usageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const held = 64 << 20
	memory := make([]byte, held)
	deadline := time.Now().Add(10 * time.Second)
	after := before
	for n := 0; after.CPU < before.CPU+50*time.Millisecond; n++ { // until the kernel has counted it
		for i := range memory {
			memory[i] = byte(i + n)
		}
		if after, err = usageOf(os.Getpid()); err != nil || time.Now().After(deadline) {
			t.Fatalf("before %+v, after %+v, %v", before, after, err)
		}
	}
	if after.PeakRSSBytes < held || after.PeakRSSBytes > 100*held {
		t.Errorf("it held %d bytes, measured were %d", held, after.PeakRSSBytes)
	}
	if usage, err := usageOf(1 << 30); err == nil {
		t.Errorf("of no process: got %+v", usage)
	}
}
