package bench

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The pictures are drawn in units of their own, which the browser scales to the width that there is.
const (
	plotWidth, plotHeight = 720.0, 300.0
	leftEdge, rightEdge   = 64.0, 14.0
	topEdge, bottomEdge   = 10.0, 34.0
)

// point is a place in a picture; Title is what a browser shows beside the pointer.
type point struct {
	X, Y  string
	Title string
}

type tickMark struct{ At, Text string }

// curvePlot is time by size of one series, which differs in nothing but sizes.
type curvePlot struct {
	Name          string
	Width, Height float64
	Left, Right   float64
	Top, Bottom   float64
	XTicks        []tickMark
	YTicks        []tickMark
	Points        []point
	Line, Band    string // of the fit; empty if there is none
	Formula       string
}

func coordinate(value float64) string { return strconv.FormatFloat(value, 'f', 1, 64) }

// curvePlots has a plot for everything that was measured at several sizes.
func curvePlots(all []measuredConfig) []curvePlot {
	series := map[string][]measuredConfig{}
	var names []string
	for _, m := range all {
		_, name, _ := strings.Cut(m.name, "/") // the size comes first
		if series[name] == nil {
			names = append(names, name)
		}
		series[name] = append(series[name], m)
	}
	var plots []curvePlot
	for _, name := range names {
		plots = append(plots, newCurvePlot(name, series[name]))
	}
	return plots
}

func newCurvePlot(name string, series []measuredConfig) curvePlot {
	p := curvePlot{
		Name: name, Width: plotWidth, Height: plotHeight,
		Left: leftEdge, Right: plotWidth - rightEdge, Top: topEdge, Bottom: plotHeight - bottomEdge,
	}
	var sizes, times []float64
	for _, m := range series {
		for _, s := range m.samples {
			sizes, times = append(sizes, float64(s.SourceBytes)), append(times, float64(s.Total))
		}
	}
	f, fits := fit(sizes, times)
	widest, longest := 1.04*slices.Max(sizes), slices.Max(times)
	if fits {
		longest = math.Max(longest, math.Min(f.at(widest)+f.margin(widest), 2*longest))
	}
	longest *= 1.05
	x := func(size float64) float64 { return p.Left + (p.Right-p.Left)*size/widest }
	y := func(time float64) float64 { return p.Bottom - (p.Bottom-p.Top)*math.Min(math.Max(time/longest, 0), 1) }
	for i := range sizes {
		p.Points = append(p.Points, point{coordinate(x(sizes[i])), coordinate(y(times[i])), seconds(times[i])})
	}
	for _, at := range ticks(longest / 1e9) {
		p.YTicks = append(p.YTicks, tickMark{coordinate(y(at * 1e9)), trim(at) + " s"})
	}
	p.XTicks = sizeTicks(series, x)
	p.Formula = "one size: no line can be put through it"
	if fits {
		p.draw(f, widest, x, y)
	}
	return p
}

// draw draws the line with the interval around it, and writes it down.
func (p *curvePlot) draw(f fitted, widest float64, x, y func(float64) float64) {
	const steps = 40
	var upper, lower []string
	for i := range steps + 1 {
		size := widest * float64(i) / steps
		upper = append(upper, coordinate(x(size))+","+coordinate(y(f.at(size)+f.margin(size))))
		lower = append(lower, coordinate(x(size))+","+coordinate(y(f.at(size)-f.margin(size))))
	}
	slices.Reverse(lower)
	p.Band = strings.Join(append(upper, lower...), " ")
	p.Line = fmt.Sprintf("%s,%s %s,%s", coordinate(x(0)), coordinate(y(f.at(0))), coordinate(x(widest)), coordinate(y(f.at(widest))))
	const gib = 1 << 30
	p.Formula = fmt.Sprintf("%.2f s (± %.2f) and %.2f s (± %.2f) for every GiB", f.fixed/1e9, f.margin(0)/1e9,
		f.perByte*gib/1e9, f.width*math.Sqrt(f.varPerByte)*gib/1e9)
	if f.sizes == 2 {
		p.Formula += "; two sizes do not show whether it is a line"
	}
}

// sizeTicks names the sizes, but for those that would lie on one another.
func sizeTicks(series []measuredConfig, x func(float64) float64) []tickMark {
	const apart = 60
	var marks []tickMark
	last := -math.MaxFloat64
	for _, m := range slices.Backward(series) {
		at := x(float64(m.config.SizeBytes))
		if math.Abs(at-last) >= apart {
			marks, last = append(marks, tickMark{coordinate(at), Size(m.config.SizeBytes)}), at
		}
	}
	return marks
}

// ticks are round numbers from 0 up to the most, about five.
func ticks(most float64) []float64 {
	if most <= 0 || math.IsInf(most, 0) || math.IsNaN(most) {
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10(most/5)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if most/(step*factor) <= 6 {
			step *= factor
			break
		}
	}
	var all []float64
	for i := 0.0; i*step <= most; i++ {
		all = append(all, i*step)
	}
	return all
}

func trim(value float64) string { return strconv.FormatFloat(value, 'g', 4, 64) }

// inLine are the phases that follow one another.
func inLine() []string {
	return []string{
		PhaseFetch, PhaseCheck, PhaseRestore, PhasePlace, PhaseStart, PhaseElect, PhaseFirstRead, PhaseFirstWrite, PhaseAgree,
	}
}

func phaseLegend() (all []legend) {
	for _, name := range inLine() {
		all = append(all, legend{name, "phase-" + name})
	}
	return all
}

// barGroup are the bars of one size, which share a scale.
type barGroup struct {
	Size string
	Bars []bar
}

// bar is the sample in the middle of a configuration, cut into phases.
type bar struct {
	Name, Time string
	Parts      []barPart
}

type barPart struct{ X, Width, Class, Title string }

func barGroups(all []measuredConfig) (groups []barGroup) {
	longest := map[string]float64{}
	for _, m := range all {
		size, s := Size(m.config.SizeBytes), m.middle()
		longest[size] = math.Max(longest[size], float64(s.end()))
	}
	for _, m := range all {
		size, name, _ := strings.Cut(m.name, "/")
		size = strings.TrimPrefix(size, "size=")
		if len(groups) == 0 || groups[len(groups)-1].Size != size {
			groups = append(groups, barGroup{Size: size})
		}
		s := m.middle()
		b := bar{Name: name, Time: seconds(float64(s.Total))}
		for _, p := range s.Phases {
			if slices.Contains(inLine(), p.Name) {
				percent := func(d float64) string { return coordinate(100*d/longest[size]) + "%" }
				b.Parts = append(b.Parts, barPart{
					percent(float64(p.After)), percent(float64(p.Took)), "phase-" + p.Name, p.Name + " " + seconds(float64(p.Took)),
				})
			}
		}
		group := &groups[len(groups)-1]
		group.Bars = append(group.Bars, b)
	}
	return groups
}

// end is when the last phase was over, since the beginning.
func (s Sample) end() (end float64) {
	end = float64(s.Total)
	for _, p := range s.Phases {
		end = math.Max(end, float64(p.After+p.Took))
	}
	return end
}

// stripPlot has every sample as a part of its configuration's median: what spreads, and how much.
type stripPlot struct {
	Ticks []tickMark
	Rows  []strip
}

type strip struct {
	Name   string
	Points []point
}

func newStripPlot(all []measuredConfig) *stripPlot {
	if len(all) == 0 {
		return nil
	}
	p := &stripPlot{}
	least, most := 0.9, 1.1
	for _, m := range all {
		times := m.times()
		least, most = math.Min(least, slices.Min(times)/median(times)), math.Max(most, slices.Max(times)/median(times))
	}
	least, most = least-0.04*(most-least), most+0.04*(most-least)
	x := func(part float64) string { return coordinate(100*(part-least)/(most-least)) + "%" }
	for _, at := range ticks(most) {
		if at >= least {
			p.Ticks = append(p.Ticks, tickMark{x(at), fmt.Sprintf("%.0f %%", 100*at)})
		}
	}
	for _, m := range all {
		row := strip{Name: m.name}
		for _, s := range m.samples {
			row.Points = append(row.Points, point{
				X: x(float64(s.Total) / median(m.times())), Title: fmt.Sprintf("round %d: %s", s.Round, seconds(float64(s.Total))),
			})
		}
		p.Rows = append(p.Rows, row)
	}
	return p
}
