package bench

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/perf/benchmath"
)

// Judgement says how a configuration of the new run stands to that of the old one.
type Judgement string

// The judgements. Where nothing can be said for certain it is Inconclusive, and never one of the others.
const (
	Better       Judgement = "better"
	Worse        Judgement = "worse"
	Same         Judgement = "same"
	Inconclusive Judgement = "inconclusive"
)

// Demands say what is called a difference.
type Demands struct {
	// MinEffect is the least difference that matters, as a part of the old time: 0.1 for a tenth.
	MinEffect float64
	// Alpha is the chance with which samples that do not differ may look as different as these, at most.
	Alpha float64
	// Force compares runs on different hosts or data, and the benchmarks that both have if they have different ones.
	Force bool
}

// DefaultDemands are a tenth, at a level of 1 %, which five samples of each can just reach.
func DefaultDemands() Demands { return Demands{MinEffect: 0.1, Alpha: 0.01} }

// Check refuses demands that nothing can meet or everything does.
func (d Demands) Check() error {
	if d.MinEffect <= 0 || d.MinEffect > 10 || d.Alpha <= 0 || d.Alpha >= 1 {
		return fmt.Errorf("a minimum effect of %v at a level of %v: the one must be above 0 and at most 10, the other between 0 and 1",
			d.MinEffect, d.Alpha)
	}
	return nil
}

// ErrDifferent means that two runs cannot be compared: they were made on different hosts, or of different things.
var ErrDifferent = errors.New("the runs differ in more than time")

// Comparison is what Compare tells.
type Comparison struct {
	SchemaVersion int     `json:"schemaVersion"`
	Old           string  `json:"old"` // the name of the file
	New           string  `json:"new"`
	MinEffect     float64 `json:"minEffect"`
	Alpha         float64 `json:"alpha"`
	// Notes are what somebody should know who reads the rows: facts in which the runs differ.
	Notes []string `json:"notes,omitempty"`
	Rows  []Row    `json:"rows"`
}

// Row is one configuration.
type Row struct {
	Name      string    `json:"name"`
	Judgement Judgement `json:"judgement"`
	// Why explains a judgement that the figures beside it do not.
	Why string `json:"why,omitempty"`
	// Old and New are medians, in nanoseconds; Change is that of the pairs, as a part of the old time; both are 0 if there was
	// nothing to compute them from.
	Old    float64 `json:"oldNanoseconds"`
	New    float64 `json:"newNanoseconds"`
	Change float64 `json:"change"`
	// P is that of a Mann-Whitney U test. Pairs is how many samples were held against one another.
	P     float64 `json:"p"`
	Pairs int     `json:"pairs"`
	// Phases are those whose time changed most, the most important first.
	Phases []PhaseChange `json:"phases,omitempty"`
}

// PhaseChange is by how much the median of a phase changed.
type PhaseChange struct {
	Phase string  `json:"phase"`
	Old   float64 `json:"oldNanoseconds"`
	New   float64 `json:"newNanoseconds"`
}

// Judgement is the worst that is told of a configuration: worse before inconclusive before the others.
func (c Comparison) Judgement() Judgement {
	worst := Same
	if len(c.Rows) == 0 {
		return Inconclusive
	}
	for _, row := range c.Rows {
		switch {
		case row.Judgement == Worse:
			return Worse
		case row.Judgement == Inconclusive:
			worst = Inconclusive
		case row.Judgement == Better && worst == Same:
			worst = Better
		}
	}
	return worst
}

// Compare holds the new run against the old one, benchmark by benchmark. The samples of each are taken in pairs, in the order in
// which they were measured: runs that took turns drift together.
//
// A benchmark is worse, or better, if the median of the pairs' ratios is off by the minimum effect, by several times what the
// spread of the ratios makes of it, or the samples lie farther apart than either of them is wide, and if a Mann-Whitney U test finds
// them different; unless the machine itself was slower, or faster, just then. It is the same if the difference is, for all that the
// spread allows, below the minimum effect. Everything else is inconclusive.
//
// Runs that cannot be compared are an error wrapping ErrDifferent.
func Compare(before, after Series, demands Demands) (Comparison, error) {
	c := Comparison{
		SchemaVersion: SchemaVersion, Old: before.Name, New: after.Name, MinEffect: demands.MinEffect, Alpha: demands.Alpha, Rows: []Row{},
	}
	if err := c.checkFacts(before, after, demands.Force); err != nil {
		return Comparison{}, err
	}
	names, err := c.checkNames(before, after, demands.Force)
	if err != nil {
		return Comparison{}, err
	}
	for _, name := range names {
		row := judge(before.Values[name], after.Values[name], demands, len(names))
		row.Name = name
		row.Phases = phaseChanges(before, after, name)
		c.Rows = append(c.Rows, row)
	}
	return c, nil
}

// checkFacts refuses runs on different hosts, and notes what else differs.
func (c *Comparison) checkFacts(before, after Series, force bool) error {
	for _, key := range factKeys() {
		was, is := before.Facts[key], after.Facts[key]
		if was == is {
			continue
		}
		if key == keyEtcd || force {
			c.Notes = append(c.Notes, fmt.Sprintf("%s: %s, then %s", key, orNone(was), orNone(is)))
			continue
		}
		return fmt.Errorf("%w: %s is %q in %s and %q in %s; measure both on the same, or insist with --force",
			ErrDifferent, key, was, before.Name, is, after.Name)
	}
	return nil
}

func orNone(fact string) string {
	if fact == "" {
		return "several"
	}
	return fact
}

// checkNames returns the benchmarks that both have.
func (c *Comparison) checkNames(before, after Series, force bool) ([]string, error) {
	var names, missing []string
	for _, name := range before.Names {
		if slices.Contains(after.Names, name) {
			names = append(names, name)
		} else {
			missing = append(missing, name+" (only in "+before.Name+")")
		}
	}
	for _, name := range after.Names {
		if !slices.Contains(before.Names, name) {
			missing = append(missing, name+" (only in "+after.Name+")")
		}
	}
	if len(missing) > 0 && !force || len(names) == 0 {
		return nil, fmt.Errorf("%w: not both have %s; measure the same, or insist with --force to compare what both have",
			ErrDifferent, strings.Join(missing, ", "))
	}
	for _, name := range missing {
		c.Notes = append(c.Notes, "left out: "+name)
	}
	return names, nil
}

// minPairs is how many pairs can tell anything.
const minPairs = 5

// certainty is by how many standard errors a difference must be off to count as one: many, because a handful of samples tells its
// own spread badly, and the more, the fewer they are.
func certainty(pairs, tests int) float64 { return (3.5 + 17.5/float64(pairs)) * caution(pairs, tests) }

// caution is what certainty grows by where several benchmarks are looked at, each of which may be called worse by chance: the tail of
// Student's distribution falls with the power of its degrees of freedom, so this keeps the chance of the whole what it is for one.
func caution(pairs, tests int) float64 { return math.Pow(float64(tests), 1/float64(pairs-1)) }

// level is that of the Mann-Whitney U test where so many benchmarks are tested: that of Bonferroni, but not below what samples of
// this number can reach, which is when all of one lie beyond all of the other. Five can reach 0.008.
func level(alpha float64, pairs, tests int) float64 {
	reachable := 2.0 // of the orders of all samples, these two
	for i := range pairs {
		reachable *= float64(i+1) / float64(pairs+i+1)
	}
	const rounding = 1.001
	return math.Max(alpha/float64(tests), math.Min(reachable*rounding, alpha))
}

// judge holds the samples of one benchmark against one another.
func judge(before, after map[string][]float64, demands Demands, tests int) Row {
	was, is := before["ns/op"], after["ns/op"]
	row := Row{Judgement: Inconclusive, Pairs: min(len(was), len(is)), Old: median(was), New: median(is)}
	if row.Pairs < minPairs {
		row.Why = fmt.Sprintf("%d and %d samples; at least %d of each are needed", len(was), len(is), minPairs)
		return row
	}
	was, is = was[:row.Pairs], is[:row.Pairs]
	for _, samples := range [][]float64{was, is} {
		if slices.Min(samples) == slices.Max(samples) {
			row.Why = fmt.Sprintf("all %d samples are the same number, which no measurement is", len(samples))
			return row
		}
	}
	shift, spread := ratios(was, is)
	row.Change = math.Exp(shift) - 1
	row.P = benchmath.AssumeNothing.Compare(sample(was, demands), sample(is, demands)).P
	effect := math.Log1p(demands.MinEffect)
	switch {
	case math.Abs(shift) >= effect && row.P < level(demands.Alpha, row.Pairs, tests) &&
		(math.Abs(shift) >= certainty(row.Pairs, tests)*spread || apart(was, is, caution(row.Pairs, tests))):
		row.Judgement = Worse
		if shift < 0 {
			row.Judgement = Better
		}
		row.doubt(before[unitPace], after[unitPace], demands)
	case math.Abs(shift)+2*spread < effect:
		row.Judgement = Same
	default:
		row.Why = fmt.Sprintf("it may be anything from %s to %s; more samples, or a quieter machine, would tell",
			Percent(math.Exp(shift-2*spread)-1), Percent(math.Exp(shift+2*spread)-1))
	}
	return row
}

// apart tells whether the samples lie so far from one another that the gap between them is wider than either of them, by a factor, which
// needs no estimate of a spread.
func apart(was, is []float64, factor float64) bool {
	width := func(samples []float64) float64 { return math.Log(slices.Max(samples) / slices.Min(samples)) }
	gap := math.Max(math.Log(slices.Min(is)/slices.Max(was)), math.Log(slices.Min(was)/slices.Max(is)))
	return gap > factor*math.Max(width(was), width(is))
}

// doubt takes a judgement back that the pace of the machine explains.
func (r *Row) doubt(before, after []float64, demands Demands) {
	before, after = measured(before), measured(after)
	if len(before) < minPairs || len(after) < minPairs {
		return
	}
	change := math.Log(median(after) / median(before))
	differs := benchmath.AssumeNothing.Compare(sample(before, demands), sample(after, demands)).P < demands.Alpha
	if sameWay := (change > 0) == (r.Judgement == Worse); differs && sameWay && math.Abs(change) > math.Log1p(demands.MinEffect)/2 {
		r.Why = fmt.Sprintf("it is %s, but the machine itself took %s for the same computation just then",
			r.Judgement, Percent(math.Exp(change)-1))
		r.Judgement = Inconclusive
	}
}

// ratios returns the median of the pairs' ratios, as a logarithm, and its standard error.
func ratios(was, is []float64) (shift, spread float64) {
	logs := make([]float64, len(was))
	for i := range was {
		logs[i] = math.Log(is[i] / was[i])
	}
	shift = median(logs)
	var off []float64
	sum := 0.0
	for _, l := range logs {
		off = append(off, math.Abs(l-shift))
		sum += math.Abs(l - shift)
	}
	n := float64(len(logs))
	// What follows one another may be alike, and says less then: the variance of a mean grows by so much (an AR(1) process), with the
	// correlation corrected for what a short series hides of it.
	alike := correlation(logs)
	alike = math.Min(math.Max(alike+(1+3*alike)/n, 0), 0.9)
	inflation := math.Sqrt((1 + alike) / (1 - alike))
	// Two estimates of the standard deviation, by the median and by the mean of what the ratios are off, of which the larger counts;
	// the factors are those of a normal distribution, as is that of the standard error of a median.
	deviation := math.Max(1.4826*median(off), 1.2533*sum/n) * n / (n - 1)
	return shift, 1.2533 * deviation / math.Sqrt(n) * inflation
}

// correlation is that of every value with the one before it.
func correlation(values []float64) float64 {
	middle := median(values)
	var with, alone float64
	for i, v := range values {
		alone += (v - middle) * (v - middle)
		if i > 0 {
			with += (v - middle) * (values[i-1] - middle)
		}
	}
	if alone == 0 {
		return 0
	}
	return with / alone
}

func sample(values []float64, demands Demands) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.Thresholds{CompareAlpha: demands.Alpha})
}

// measured leaves out what was not measured.
func measured(values []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(values), math.IsNaN)
}

func median(values []float64) float64 {
	sorted := measured(values)
	slices.Sort(sorted)
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 0:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[n/2]
}

// maxPhases bounds how many phases of a benchmark are named.
const maxPhases = 3

// phaseChanges names the phases whose medians changed most, in nanoseconds.
func phaseChanges(before, after Series, name string) []PhaseChange {
	var changes []PhaseChange
	for _, unit := range before.phases(name) {
		was, is := median(before.Values[name][unit]), median(after.Values[name][unit])
		if is > 0 {
			changes = append(changes, PhaseChange{Phase: strings.TrimSuffix(unit, "-ns"), Old: was, New: is})
		}
	}
	slices.SortStableFunc(changes, func(a, b PhaseChange) int {
		return -int(math.Copysign(1, math.Abs(a.New-a.Old)-math.Abs(b.New-b.Old)))
	})
	return changes[:min(len(changes), maxPhases)]
}

// Percent writes a change as people do: +12 %.
func Percent(change float64) string { return fmt.Sprintf("%+.0f %%", 100*change) }
