package bench

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestALineIsFoundInItsPoints(t *testing.T) {
	var sizes, times []float64
	for _, size := range []float64{16 << 20, 256 << 20, 1 << 30} {
		for range 3 {
			sizes, times = append(sizes, size), append(times, 5e8+4*size)
		}
	}
	f, ok := fit(sizes, times)
	if !ok || math.Abs(f.fixed-5e8) > 1 || math.Abs(f.perByte-4) > 1e-9 || f.margin(1<<30) > 100 || f.sizes != 3 {
		t.Errorf("got %+v, %t", f, ok)
	}
	for name, n := range map[string]int{"one size": 3, "nothing": 0} {
		if f, ok := fit(sizes[:n], times[:n]); ok {
			t.Errorf("%s: got %+v", name, f)
		}
	}
	if f, ok := fit([]float64{1, 2}, []float64{1, 2}); ok {
		t.Errorf("two points have no interval: got %+v", f)
	}
}

// TestTheIntervalHoldsTheTruth draws noisy points of a known line, a thousand times.
func TestTheIntervalHoldsTheTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	held, rounds := 0, 1000
	const at = 512 << 20
	for range rounds {
		var sizes, times []float64
		for _, size := range []float64{16 << 20, 256 << 20, 1 << 30} {
			for range 5 {
				sizes, times = append(sizes, size), append(times, (5e8+4*size)*(1+0.05*random.NormFloat64()))
			}
		}
		f, ok := fit(sizes, times)
		if ok && math.Abs(f.at(at)-(5e8+4*at)) <= f.margin(at) {
			held++
		}
	}
	if share := float64(held) / float64(rounds); share < 0.92 || share > 0.98 {
		t.Errorf("the interval holds the truth in %.3f of all cases, should in 0.95", share)
	}
}
