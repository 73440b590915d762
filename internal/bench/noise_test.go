package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// noises are ways in which a machine makes times differ that should be the same: so many samples each.
func noises() map[string]func(random *rand.Rand, count int) []float64 {
	each := func(value func(*rand.Rand) float64) func(*rand.Rand, int) []float64 {
		return func(random *rand.Rand, count int) []float64 {
			values := make([]float64, count)
			for i := range values {
				values[i] = value(random)
			}
			return values
		}
	}
	return map[string]func(*rand.Rand, int) []float64{
		"outliers":  func(random *rand.Rand, count int) []float64 { return noisy(random, count, 800, 0.3) },
		"elections": each(func(r *rand.Rand) float64 { return 400 + 800*r.Float64() }),
		"two modes": each(func(r *rand.Rand) float64 { return 500 * (1 + 0.02*r.NormFloat64()) * float64(1+r.IntN(2)) }),
		"far tails": each(func(r *rand.Rand) float64 {
			return 800 * math.Exp(0.3*r.NormFloat64()/math.Max(0.2, math.Abs(r.NormFloat64())))
		}),
		"drift": func(random *rand.Rand, count int) []float64 { // slow hours, in which one sample is like the one before
			values, at := make([]float64, count), 0.15*random.NormFloat64()
			for i := range values {
				at = 0.8*at + 0.6*0.15*random.NormFloat64()
				values[i] = 800 * math.Exp(at)
			}
			return values
		},
	}
}

// TestNoiseOfAnyKindIsSeldomWorse counts how often two runs of the same thing are told to differ, in either direction.
func TestNoiseOfAnyKindIsSeldomWorse(t *testing.T) {
	const rounds = 3000
	for _, c := range []struct {
		count       int
		most, drift float64 // parts of all
	}{{5, 0.004, 0.08}, {10, 0.001, 0.045}, {20, 0.001, 0.025}} {
		for name, noise := range noises() {
			random, told, most := rand.New(rand.NewPCG(5, 5)), 0, c.most
			if name == "drift" {
				most = c.drift
			}
			for range rounds {
				before, after := map[string][]float64{"ns/op": noise(random, c.count)}, map[string][]float64{"ns/op": noise(random, c.count)}
				if row := judge(before, after, DefaultDemands(), 1); row.Judgement == Worse || row.Judgement == Better {
					told++
				}
			}
			t.Logf("%s, %d samples: %.4f", name, c.count, float64(told)/rounds)
			if float64(told)/rounds > most {
				t.Errorf("%s, %d samples: %d of %d pairs of the same are told to differ", name, c.count, told, rounds)
			}
		}
	}
}

// TestALargeMatrixIsNoWorseThanASmallOne compares matrices of 36 configurations with themselves: that there are many does not make
// it likelier that one of them is called worse.
func TestALargeMatrixIsNoWorseThanASmallOne(t *testing.T) {
	const matrices, configs, count = 150, 36, 6
	random := rand.New(rand.NewPCG(9, 9))
	worse := 0
	for range matrices {
		if slices.ContainsFunc(make([]struct{}, configs), func(struct{}) bool {
			before := map[string][]float64{"ns/op": noises()["elections"](random, count)}
			after := map[string][]float64{"ns/op": noises()["elections"](random, count)}
			return judge(before, after, DefaultDemands(), configs).Judgement == Worse
		}) {
			worse++
		}
	}
	t.Logf("%d of %d", worse, matrices)
	if worse > 1 {
		t.Errorf("of %d matrices of the same, one of whose configurations is worse there are %d", matrices, worse)
	}
}

func TestTheLevelIsSharedByTheMatrixAsFarAsSamplesReach(t *testing.T) {
	for _, c := range []struct {
		pairs, tests int
		want         float64
	}{
		{5, 1, 0.01}, {5, 6, 2.0 / 252 * 1.001}, {10, 6, 0.01 / 6}, {20, 36, 0.01 / 36}, {4, 1, 0.01},
	} {
		if got := level(0.01, c.pairs, c.tests); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%d pairs of %d benchmarks: %v, want %v", c.pairs, c.tests, got, c.want)
		}
	}
	if one, many := certainty(10, 1), certainty(10, 36); one != 5.25 || many < 1.4*one || many > 1.6*one {
		t.Errorf("one benchmark takes %v, thirty-six %v", one, many)
	}
}
