package bench

import (
	"errors"
	"regexp"
	"testing"
)

func TestEveryClassOfHostsHasABaselineOfItsOwn(t *testing.T) {
	names := map[string]string{}
	for what, change := range map[string]func(*Host){
		"itself": func(*Host) {}, "processors": func(h *Host) { h.CPUs = 4 }, "memory": func(h *Host) { h.MemoryBytes *= 2 },
		"same words": func(h *Host) { h.CPU = "some  processor" }, "hostile": func(h *Host) { h.CPU = "../../etc/passwd\x00" },
	} {
		run := runOf(800)
		change(&run.Host)
		name, err := SeriesOf(run, "run").BaselineName()
		if err != nil || !regexp.MustCompile(`^[a-z0-9-]+\.bench$`).MatchString(name) {
			t.Errorf("%s: got %q, %v", what, name, err)
		}
		if other, there := names[name]; there {
			t.Errorf("%s and %s share %s", what, other, name)
		}
		names[name] = what
	}
	kernel := runOf(800)
	kernel.Host.Kernel = "another"
	if name, err := SeriesOf(kernel, "run").BaselineName(); err != nil || names[name] != "itself" {
		t.Errorf("another kernel is another class: %s, %v", name, err)
	}
	if name, err := (Series{}).BaselineName(); !errors.Is(err, ErrNoBaseline) {
		t.Errorf("of no host: got %q, %v", name, err)
	}
}

func TestABaselineIsWorthSomething(t *testing.T) {
	for what, c := range map[string]struct {
		totals []float64
		want   error
	}{
		"five": {[]float64{800, 805, 795, 802, 798}, nil}, "one": {[]float64{800}, ErrNoBaseline},
		"four": {[]float64{800, 805, 795, 802}, ErrNoBaseline}, "flat": {[]float64{800, 800, 800, 800, 800}, ErrNoBaseline},
	} {
		if err := SeriesOf(runOf(c.totals...), "run").CheckBaseline(); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", what, err, c.want)
		}
	}
}
