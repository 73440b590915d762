package bench

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// runOf makes a run of one configuration with these totals, in milliseconds.
func runOf(totals ...float64) Run {
	config := Config{
		SizeBytes: 1 << 30, Members: 3, Source: "snapshot", Route: "restore", Etcd: "3.7.3", Runtime: "process", Disk: "tmpfs", PageCache: Warm,
	}
	run := Run{Header: Header{
		SchemaVersion: SchemaVersion, Tool: "0.1.0", Count: len(totals), WarmUps: 1, Matrix: []Config{config},
		Host: Host{OS: "linux", Arch: "amd64", CPU: "some processor", CPUs: 2, MemoryBytes: 8 << 30},
		Data: Data{ValueBytes: 1024, Revisions: 1, Seed: 1},
	}}
	for i, total := range append([]float64{9999}, totals...) { // the warm-up
		run.Samples = append(run.Samples, Sample{
			Config: config, Round: i, SourceBytes: 1 << 30, Total: time.Duration(total * 1e6), Pace: time.Duration(60e6 + 1000*i),
			Phases: []Phase{
				{Name: PhaseRestore, Took: time.Duration(total * 8e5), Bytes: 3 << 30, CPU: time.Duration(total * 1e6), PeakRSSBytes: 1 << 30},
				{Name: PhaseElect, After: time.Duration(total * 8e5), Took: time.Duration(total * 2e5)},
			},
		})
	}
	return run
}

func noisy(random *rand.Rand, count int, base, noise float64) []float64 {
	values := make([]float64, count)
	for i := range values {
		values[i] = base * math.Exp(noise*random.NormFloat64())
		if random.IntN(20) == 0 { // somebody else used the disk
			values[i] *= 1 + random.Float64()
		}
	}
	return values
}

func compareRuns(t *testing.T, before, after Run) Row {
	t.Helper()
	c, err := Compare(SeriesOf(before, "old"), SeriesOf(after, "new"), DefaultDemands())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Rows) != 1 || c.Judgement() != c.Rows[0].Judgement {
		t.Fatalf("got %+v", c)
	}
	return c.Rows[0]
}

// TestUnchangedRunsAreNeverWorse takes ten pairs of runs of the same thing, two hundred times, as noisy as machines are.
func TestUnchangedRunsAreNeverWorse(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	judged := map[Judgement]int{}
	for range 200 {
		count, noise := 5+random.IntN(11), 0.15*random.Float64()
		for range 10 {
			row := compareRuns(t, runOf(noisy(random, count, 800, noise)...), runOf(noisy(random, count, 800, noise)...))
			judged[row.Judgement]++
		}
	}
	t.Log(judged)
	if judged[Worse] > 0 || judged[Better] > 0 || judged[Same] == 0 || judged[Inconclusive] == 0 {
		t.Errorf("of 2000 pairs of the same: %v", judged)
	}
}

// TestASlowedRunIsWorse slows every sample of the new run, or speeds it up.
func TestASlowedRunIsWorse(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 11))
	for _, c := range []struct {
		count  int
		noise  float64
		factor float64
		least  int // of a hundred
	}{
		{5, 0.01, 1.25, 50}, {5, 0.02, 2, 75}, {10, 0.03, 1.25, 55}, {10, 0.05, 1.5, 85}, {20, 0.08, 1.3, 70},
	} {
		worse, better := 0, 0
		for range 100 {
			before, after := noisy(random, c.count, 800, c.noise), noisy(random, c.count, 800*c.factor, c.noise)
			row := compareRuns(t, runOf(before...), runOf(after...))
			if row.Judgement == Worse && row.Change > c.factor-1-0.2 {
				worse++
			}
			if row.Judgement != Worse && row.Judgement != Inconclusive {
				t.Errorf("%+v: slowed, and judged %+v", c, row)
			}
			if compareRuns(t, runOf(after...), runOf(before...)).Judgement == Better {
				better++
			}
		}
		if worse < c.least || better < c.least {
			t.Errorf("%+v: of 100 slowed runs %d are worse, of 100 faster ones %d better", c, worse, better)
		}
	}
}

func TestWhatCannotBeToldIsInconclusive(t *testing.T) {
	steady := []float64{800, 805, 795, 802, 798}
	for _, c := range []struct {
		name          string
		before, after []float64
		want          Judgement
		why           string
	}{
		{"one sample", []float64{800}, []float64{1600}, Inconclusive, "1 and 1 samples"},
		{"one sample of the new", steady, []float64{1600}, Inconclusive, "5 and 1 samples"},
		{"four", steady[:4], []float64{1600, 1610, 1590, 1605}, Inconclusive, "at least 5"},
		{"no variance", []float64{800, 800, 800, 800, 800}, []float64{1600, 1600, 1600, 1600, 1600}, Inconclusive, "the same number"},
		{"no variance of one", steady, []float64{1600, 1600, 1600, 1600, 1600}, Inconclusive, "the same number"},
		{"no variance, and equal", []float64{800, 800, 800, 800, 800}, []float64{800, 800, 800, 800, 800}, Inconclusive, "the same number"},
		{"spread all over", []float64{800, 400, 1600, 900, 300}, []float64{1000, 1900, 500, 2000, 700}, Inconclusive, "anything from"},
		{"the same", steady, []float64{801, 804, 797, 800, 799}, Same, ""},
		{"slower, and not by much", steady, []float64{840, 846, 834, 842, 838}, Same, ""},
		{"slower", steady, []float64{1000, 1006, 994, 1003, 997}, Worse, ""},
		{"spread, and far away", []float64{2000, 1400, 2400, 1700, 1900}, []float64{6000, 5900, 6600, 8000, 6100}, Worse, ""},
		{"faster", steady, []float64{600, 604, 596, 601, 599}, Better, ""},
	} {
		row := compareRuns(t, runOf(c.before...), runOf(c.after...))
		if row.Judgement != c.want || !strings.Contains(row.Why, c.why) || (row.Why == "") != (c.why == "") {
			t.Errorf("%s: got %+v, want %s", c.name, row, c.want)
		}
	}
}

func TestAMachineThatIsSlowerItselfIsNoRegression(t *testing.T) {
	before, after := runOf(800, 805, 795, 802, 798), runOf(1000, 1006, 994, 1003, 997)
	for i := range after.Samples {
		after.Samples[i].Pace += after.Samples[i].Pace / 5
	}
	if row := compareRuns(t, before, after); row.Judgement != Inconclusive || !strings.Contains(row.Why, "the machine itself took +20 %") {
		t.Errorf("got %+v", row)
	}
	// A machine that is faster does not explain that something is slower.
	for i := range after.Samples {
		after.Samples[i].Pace /= 2
	}
	if row := compareRuns(t, before, after); row.Judgement != Worse {
		t.Errorf("got %+v", row)
	}
}

func TestRunsThatDifferAreNotCompared(t *testing.T) {
	before := runOf(800, 805, 795, 802, 798)
	for name, change := range map[string]func(*Run){
		"processor": func(r *Run) { r.Host.CPU = "another" },
		"number":    func(r *Run) { r.Host.CPUs = 4 },
		"memory":    func(r *Run) { r.Host.MemoryBytes *= 2 },
		"system":    func(r *Run) { r.Host.OS = "plan9" },
		"data":      func(r *Run) { r.Data.ValueBytes = 1 },
		"disk":      func(r *Run) { r.each(func(c *Config) { c.Disk = "ext4" }) },
		"runtime":   func(r *Run) { r.each(func(c *Config) { c.Runtime = "docker" }) },
		"cache":     func(r *Run) { r.each(func(c *Config) { c.PageCache = Cold }) },
	} {
		after := runOf(800, 805, 795, 802, 798)
		change(&after)
		demands := DefaultDemands()
		if _, err := Compare(SeriesOf(before, "old"), SeriesOf(after, "new"), demands); !errors.Is(err, ErrDifferent) {
			t.Errorf("%s: got %v", name, err)
		}
		demands.Force = true
		c, err := Compare(SeriesOf(before, "old"), SeriesOf(after, "new"), demands)
		if err != nil || len(c.Rows) != 1 || len(c.Notes) == 0 {
			t.Errorf("%s, forced: got %+v, %v", name, c, err)
		}
	}
	other := runOf(800, 805, 795, 802, 798)
	other.each(func(c *Config) { c.SizeBytes *= 2 })
	demands := DefaultDemands()
	for _, demands.Force = range []bool{false, true} {
		if _, err := Compare(SeriesOf(before, "old"), SeriesOf(other, "new"), demands); !errors.Is(err, ErrDifferent) {
			t.Errorf("of two sizes: got %v", err)
		}
	}
	newer := runOf(800, 805, 795, 802, 798)
	newer.each(func(c *Config) { c.Etcd = "3.6.16" })
	c, err := Compare(SeriesOf(before, "old"), SeriesOf(newer, "new"), DefaultDemands())
	if err != nil || len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "etcd: 3.7.3, then 3.6.16") {
		t.Errorf("of two versions: got %+v, %v", c, err)
	}
}

// each changes the configuration everywhere.
func (r *Run) each(change func(*Config)) {
	for i := range r.Matrix {
		change(&r.Matrix[i])
	}
	for i := range r.Samples {
		change(&r.Samples[i].Config)
	}
}

func TestAVersionIsHeldAgainstAnotherInTheSameRun(t *testing.T) {
	run, newer := runOf(800, 805, 795, 802, 798), runOf(1600, 1606, 1594, 1602, 1598)
	newer.each(func(c *Config) { c.Etcd = "3.8.0" })
	run.Matrix, run.Samples = append(run.Matrix, newer.Matrix...), append(run.Samples, newer.Samples...)
	all := SeriesOf(run, "run")
	before, err := all.Take("etcd", "3.7.3")
	if err != nil {
		t.Fatal(err)
	}
	after, err := all.Take("etcd", "3.8.0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Compare(before, after, DefaultDemands())
	if err != nil || c.Judgement() != Worse || slices.ContainsFunc(c.Rows, func(r Row) bool { return strings.Contains(r.Name, "etcd") }) {
		t.Errorf("got %+v, %v", c, err)
	}
	if _, err := all.Take("etcd", "3.8"); !errors.Is(err, ErrNoRun) {
		t.Errorf("of a version that is not there: %v", err)
	}
}

func TestAComparisonIsToldInThreeForms(t *testing.T) {
	before, after := runOf(800, 805, 795, 802, 798), runOf(1600, 1606, 1594, 1602, 1598)
	c, err := Compare(SeriesOf(before, "old.txt"), SeriesOf(after, "new.txt"), DefaultDemands())
	if err != nil {
		t.Fatal(err)
	}
	for form, write := range map[string]func(*bytes.Buffer) error{
		"text":     func(b *bytes.Buffer) error { return WriteComparison(b, c) },
		"markdown": func(b *bytes.Buffer) error { return WriteComparisonMarkdown(b, c) },
		"JSON":     func(b *bytes.Buffer) error { return WriteComparisonJSON(b, c) },
	} {
		var text bytes.Buffer
		if err := write(&text); err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"Restore/size=1GiB/members=3/source=snapshot/route=restore", "old.txt", "restore"} {
			if !strings.Contains(text.String(), word) || !strings.Contains(strings.ToLower(text.String()), "worse") {
				t.Errorf("%s does not say %q:\n%s", form, word, text.String())
			}
		}
		t.Log(fmt.Sprint("\n", text.String()))
	}
}
