package measure

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestMedianAndSpread(t *testing.T) {
	for want, values := range map[float64][]float64{3: {9, 1, 3}, 2.5: {4, 2, 3, 1}, 7: {7}} {
		if got := Median(values); got != want {
			t.Errorf("the median of %v is %v", values, got)
		}
	}
	if got := Spread("%.1f", []float64{2, 1, 4, 3}, "pairs"); got != "2.5 (1.0 to 4.0, 4 pairs)" {
		t.Error(got)
	}
}

func TestMemoryIsSeenWhileItIsHeld(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	watching := Watch(os.Getpid())
	held := make([]byte, 64<<20)
	for i := range held {
		held[i] = 1
	}
	<-time.After(5 * sampleEvery)
	runtime.KeepAlive(held)
	if most := watching.Stop(); most.OwnKiB < 60<<10 || most.ProgramKiB < 60<<10 || most.MembersKiB != 0 {
		t.Errorf("%+v", most)
	}
}
