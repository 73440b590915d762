// Package measure holds what the programs that time etcd-drill share: the median of what was measured with its spread, and the
// memory of a program while it runs.
package measure

import (
	"fmt"
	"slices"
)

// Median returns the value in the middle, or what lies between the two there. There must be one value at least.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Spread prints the median and the ends, each in the format of a number, for example "%.2f", and how many there were of what.
func Spread(format string, values []float64, what string) string {
	return fmt.Sprintf(format+" ("+format+" to "+format+", %d %s)",
		Median(values), slices.Min(values), slices.Max(values), len(values), what)
}
