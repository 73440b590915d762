package bench

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// Series is what Compare compares: the samples of one file, by the names of their benchmarks.
type Series struct {
	Name string // of the file
	// Facts are what was measured on, and what is the same for all benchmarks: the keys of the text form.
	Facts map[string]string
	// Values are those of every unit of a benchmark, in the order in which they were measured. A sample that lacks a unit has a NaN
	// there.
	Values map[string]map[string][]float64
	// Names are those of the benchmarks, in the order of the file.
	Names []string
}

// ReadSeries reads either form of a run: the stored one, or the text of Go benchmarks that WriteText writes. Errors wrap ErrNoRun
// or ErrSchema.
func ReadSeries(r io.Reader, name string) (Series, error) {
	head := bufio.NewReader(r)
	if first, err := head.Peek(1); err == nil && first[0] == '{' {
		run, _, err := Read(head)
		if err != nil {
			return Series{}, fmt.Errorf("read %s: %w", name, err)
		}
		return SeriesOf(run, name), nil
	}
	s := Series{Name: name, Facts: map[string]string{}, Values: map[string]map[string][]float64{}}
	if err := s.readText(head); err != nil {
		return Series{}, fmt.Errorf("read %s: %w", name, err)
	}
	return s, nil
}

// SeriesOf makes a Series of a run.
func SeriesOf(run Run, name string) Series {
	s := Series{Name: name, Facts: map[string]string{}, Values: map[string]map[string][]float64{}}
	for _, sample := range run.Samples {
		if sample.Counts() {
			s.add(run.result(sample))
		}
	}
	return s
}

func (s *Series) readText(r io.Reader) error {
	reader := benchfmt.NewReader(r, s.Name)
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			return fmt.Errorf("%w: %w", ErrNoRun, record)
		case *benchfmt.Result:
			if err := s.check(record); err != nil {
				return err
			}
			s.add(record)
		}
	}
	if err := reader.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoRun, err)
	}
	if len(s.Names) == 0 {
		return fmt.Errorf("%w: it holds no benchmark", ErrNoRun)
	}
	return nil
}

// check refuses what was written by another program, in another version, or changed by hand.
func (s *Series) check(result *benchfmt.Result) error {
	switch schema := result.GetConfig(keySchema); schema {
	case strconv.Itoa(SchemaVersion):
	case "":
		return fmt.Errorf("%w: benchmark %s is none of etcd-drill bench (it has no line %q)", ErrNoRun, result.Name, keySchema+": …")
	default:
		return fmt.Errorf("%w: it is written in version %s, this program reads %d; measure anew", ErrSchema, schema, SchemaVersion)
	}
	for _, v := range result.Values {
		if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) || v.Value <= 0 {
			return fmt.Errorf("%w: benchmark %s has %v %s", ErrNoRun, result.Name, v.Value, v.Unit)
		}
	}
	if _, timed := nanoseconds(result, "ns/op"); !timed {
		return fmt.Errorf("%w: benchmark %s has no ns/op", ErrNoRun, result.Name)
	}
	return s.sameFacts(result)
}

// sameFacts refuses a file that was put together of runs on different hosts.
func (s *Series) sameFacts(result *benchfmt.Result) error {
	for _, key := range factKeys() {
		if known, there := s.Facts[key]; there && known != result.GetConfig(key) {
			return fmt.Errorf("%w: it holds runs with %s %q and %q; compare them one by one", ErrNoRun, key, known, result.GetConfig(key))
		}
	}
	return nil
}

func factKeys() []string {
	return append([]string{keyOS, keyArch, keyCPU, keyHost, keyData}, optional()...)
}

// nanoseconds returns a value as it was written: the reader of Go's form turns times into seconds.
func nanoseconds(result *benchfmt.Result, unit string) (float64, bool) {
	for _, v := range result.Values {
		if v.OrigUnit == unit {
			return v.OrigValue, true
		}
		if v.Unit == unit {
			return v.Value, true
		}
	}
	return math.NaN(), false
}

func (s *Series) add(result *benchfmt.Result) {
	name := string(result.Name)
	for _, key := range factKeys() {
		s.Facts[key] = result.GetConfig(key)
	}
	if s.Values[name] == nil {
		s.Names = append(s.Names, name)
		s.Values[name] = map[string][]float64{}
	}
	units := s.Values[name]
	before := len(units["ns/op"])
	for _, v := range result.Values {
		unit := v.Unit
		if v.OrigUnit != "" {
			unit = v.OrigUnit
		}
		value, _ := nanoseconds(result, unit)
		for len(units[unit]) < before {
			units[unit] = append(units[unit], math.NaN())
		}
		units[unit] = append(units[unit], value)
	}
	for unit, values := range units {
		if len(values) == before {
			units[unit] = append(values, math.NaN())
		}
	}
}

// phases returns the units of a benchmark that are times of phases, sorted.
func (s Series) phases(name string) []string {
	return slices.Sorted(func(yield func(string) bool) {
		for unit := range s.Values[name] {
			phase, timed := strings.CutSuffix(unit, "-ns")
			if timed && unit != unitPace && phase != PhaseMembers && !strings.HasSuffix(phase, "-cpu") && !yield(unit) {
				return
			}
		}
	})
}

// Take returns the benchmarks that have this value of a dimension in their names, under names without it: what Compare needs to
// hold one value against another of the same run.
func (s Series) Take(key, value string) (Series, error) {
	facts := maps.Clone(s.Facts)
	facts[key] = value
	taken := Series{Name: key + "=" + value, Facts: facts, Values: map[string]map[string][]float64{}}
	for _, name := range s.Names {
		part := "/" + key + "=" + value
		if !strings.HasSuffix(name, part) && !strings.Contains(name, part+"/") {
			continue
		}
		rest := strings.Replace(name, part, "", 1)
		taken.Names = append(taken.Names, rest)
		taken.Values[rest] = s.Values[name]
	}
	if len(taken.Names) == 0 {
		return Series{}, fmt.Errorf("%w: %s has no benchmark with %s=%s in its name", ErrNoRun, s.Name, key, value)
	}
	return taken, nil
}
