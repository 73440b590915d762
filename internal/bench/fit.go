package bench

import (
	"math"

	"github.com/aclements/go-moremath/stats"
)

// fitted is a straight line through measurements: a fixed part, and so much for every byte, with what is known of both.
type fitted struct {
	fixed, perByte float64 // nanoseconds, nanoseconds for a byte
	// The covariance of the two, and how many standard errors the interval is wide to either side.
	varFixed, varPerByte, cov, width float64
	sizes                            int // different ones
}

// intervalLevel is that of the interval around a line.
const intervalLevel = 0.95

// fit puts a line through points of a size and a time by least squares. Longer times spread more, about by the same part of
// themselves: every point is weighed by the median time of its size. It needs two sizes and three points.
func fit(sizes, times []float64) (fitted, bool) {
	bySize := map[float64][]float64{}
	for i, size := range sizes {
		bySize[size] = append(bySize[size], times[i])
	}
	if len(bySize) < 2 || len(sizes) < 3 {
		return fitted{}, false
	}
	var s, sx, sy, sxx, sxy float64
	weights := make([]float64, len(sizes))
	for i, x := range sizes {
		typical := median(bySize[x])
		w := 1 / (typical * typical)
		weights[i] = w
		s, sx, sy, sxx, sxy = s+w, sx+w*x, sy+w*times[i], sxx+w*x*x, sxy+w*x*times[i]
	}
	under := s*sxx - sx*sx
	f := fitted{fixed: (sxx*sy - sx*sxy) / under, perByte: (s*sxy - sx*sy) / under, sizes: len(bySize)}
	rest := 0.0
	for i, x := range sizes {
		off := times[i] - f.at(x)
		rest += weights[i] * off * off
	}
	free := float64(len(sizes) - 2)
	scale := rest / free
	f.varFixed, f.varPerByte, f.cov = scale*sxx/under, scale*s/under, -scale*sx/under
	f.width = stats.InvCDF(stats.TDist{V: free})(1 - (1-intervalLevel)/2)
	return f, true
}

// at is the line at a size.
func (f fitted) at(size float64) float64 { return f.fixed + f.perByte*size }

// margin is how far from the line at a size the mean of many measurements may lie, at the level of the interval.
func (f fitted) margin(size float64) float64 {
	return f.width * math.Sqrt(math.Max(f.varFixed+2*size*f.cov+size*size*f.varPerByte, 0))
}
