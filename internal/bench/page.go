package bench

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"unicode"
)

//go:embed page.html
var pageTemplate string

//go:embed page.css
var pageStyle string

// WriteHTML writes the run as one HTML document with pictures: it needs no script, no network and no other file. Texts of the run
// are shown as text and can be nothing else.
func WriteHTML(w io.Writer, run Run) error {
	page, err := template.New("page").Parse(pageTemplate)
	if err != nil {
		return fmt.Errorf("write run as HTML: %w", err)
	}
	var document strings.Builder
	if err := page.Execute(&document, newView(run)); err != nil {
		return fmt.Errorf("write run as HTML: %w", err)
	}
	if _, err := io.WriteString(w, strings.Map(printable, document.String())); err != nil {
		return fmt.Errorf("write run as HTML: %w", err)
	}
	return nil
}

// printable replaces what the template has nowhere and a text from outside may have: control characters, and what changes the
// direction of text.
func printable(r rune) rune {
	if r == '\n' || unicode.IsPrint(r) {
		return r
	}
	return '\uFFFD'
}

// view is what the template shows. Texts in it are plain; the template escapes them.
type view struct {
	Style    template.CSS
	Title    string
	Short    string // what is missing; empty if nothing is
	Facts    []fact
	Curves   []curvePlot
	Bars     []barGroup
	Legend   []legend
	Strips   *stripPlot
	Rows     []configView
	Failures []fact
}

type fact struct{ Name, Text string }

type legend struct{ Name, Class string }

// configView is a row of the table, with the phases behind it.
type configView struct {
	Name                                string
	Count                               int
	Median, Least, Most, Rate, CPU, RSS string
	Phases                              []phaseView
}

type phaseView struct {
	Name, Median, Least, Most, Share, Rate, CPU, RSS, Own string
	Part                                                  bool // of another phase
}

// measuredConfig is a configuration with its samples that count.
type measuredConfig struct {
	config  Config
	name    string // without "Restore/"
	samples []Sample
}

func (m measuredConfig) times() []float64 {
	times := make([]float64, len(m.samples))
	for i, s := range m.samples {
		times[i] = float64(s.Total)
	}
	return times
}

// middle is the sample whose time is the median, or, of an even number, the one right below: its phases add up to its time.
func (m measuredConfig) middle() Sample {
	sorted := slices.SortedStableFunc(slices.Values(m.samples), func(a, b Sample) int { return cmp.Compare(a.Total, b.Total) })
	return sorted[(len(sorted)-1)/2]
}

// measured returns the configurations that have samples, the small sizes first.
func (r Run) measured() []measuredConfig {
	var all []measuredConfig
	for _, config := range r.Matrix {
		m := measuredConfig{config: config, name: strings.TrimPrefix(r.Name(config), "Restore/")}
		for _, s := range r.Samples {
			if s.Config == config && s.Counts() {
				m.samples = append(m.samples, s)
			}
		}
		if len(m.samples) > 0 {
			all = append(all, m)
		}
	}
	slices.SortStableFunc(all, func(a, b measuredConfig) int { return cmp.Compare(a.config.SizeBytes, b.config.SizeBytes) })
	return all
}

func newView(run Run) view {
	all := run.measured()
	v := view{
		Style: template.CSS(pageStyle), //nolint:gosec // it is a file of this package
		Title: "How long a restore takes", Facts: run.facts(), Curves: curvePlots(all), Bars: barGroups(all), Legend: phaseLegend(),
		Strips: newStripPlot(all),
	}
	if !run.Complete() {
		v.Short = "Not everything was measured: this is what there is."
	}
	for _, m := range all {
		v.Rows = append(v.Rows, m.view())
	}
	for _, s := range run.Failures() {
		v.Failures = append(v.Failures, fact{fmt.Sprintf("round %d of %s", s.Round, s.Config), s.Failure})
	}
	return v
}

func (r Run) facts() []fact {
	facts := []fact{
		{"host", r.Host.Class()}, {"kernel", r.Host.Kernel}, {"etcd-drill", r.Tool},
		{"begun", r.Started.UTC().Format("2006-01-02 15:04 UTC")},
		{"rounds", fmt.Sprintf("%d that count, in turns, after %d to warm up", r.Count, r.WarmUps)}, {"data", r.Data.String()},
	}
	for _, key := range optional() {
		var values []string
		for _, config := range r.Matrix {
			for _, p := range config.parts() {
				if p.key == key && !slices.Contains(values, p.value) {
					values = append(values, p.value)
				}
			}
		}
		facts = append(facts, fact{key, strings.Join(values, ", ")})
	}
	return facts
}

func (m measuredConfig) view() configView {
	times, last := m.times(), m.samples[len(m.samples)-1]
	v := configView{
		Name: m.name, Count: len(times), Median: seconds(median(times)), Least: seconds(slices.Min(times)), Most: seconds(slices.Max(times)),
		Rate: rate(last.SourceBytes, median(times)),
	}
	var cpu, rss int64
	for _, p := range m.middle().Phases {
		cpu, rss = cpu+int64(p.CPU), max(rss, p.PeakRSSBytes)
		v.Phases = append(v.Phases, m.phase(p, median(times)))
	}
	v.CPU, v.RSS = orDash(cpu, seconds(float64(cpu))), orDash(rss, mebibytes(rss))
	return v
}

// phase tells of all samples what a phase took; the other figures are those of one.
func (m measuredConfig) phase(p Phase, total float64) phaseView {
	var times []float64
	for _, s := range m.samples {
		for _, other := range s.Phases {
			if other.Name == p.Name {
				times = append(times, float64(other.Took))
			}
		}
	}
	typical := median(times)
	return phaseView{
		Name: p.Name, Median: seconds(typical), Least: seconds(slices.Min(times)), Most: seconds(slices.Max(times)),
		Share: fmt.Sprintf("%.0f %%", 100*typical/total), Rate: orDash(p.Bytes, rate(p.Bytes, typical)),
		CPU: orDash(int64(p.CPU), seconds(float64(p.CPU))), RSS: orDash(p.PeakRSSBytes, mebibytes(p.PeakRSSBytes)),
		Own: orDash(p.OwnBytes, mebibytes(p.OwnBytes)), Part: !slices.Contains(inLine(), p.Name),
	}
}

func orDash(n int64, text string) string {
	if n == 0 {
		return "–"
	}
	return text
}

func mebibytes(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }

func rate(bytes int64, nanoseconds float64) string {
	return fmt.Sprintf("%.0f MiB/s", perSecond(bytes, nanoseconds/1e9)/(1<<20))
}
