package bench

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// The keys of the text form that say what was measured, and on what. Those of Go itself come first.
const (
	keyOS     = "goos"
	keyArch   = "goarch"
	keyCPU    = "cpu"
	keySchema = "etcd-drill-bench" // the schema version
	keyHost   = "host"             // Host.Class
	keyData   = "data"             // what the sources hold
)

// unitPace is that of Sample.Pace.
const unitPace = "pace-ns"

// WriteText writes every sample that counts in the text form of Go benchmarks, which benchstat reads: the time to the first
// acknowledged write as ns/op, the bytes of the source per second of it as B/s, and units of its own for every phase: NAME-ns,
// NAME-B/s where it is about bytes, NAME-cpu-ns, NAME-rss-B and NAME-own-B of the workers, where they are known.
func WriteText(w io.Writer, run Run) error {
	out := benchfmt.NewWriter(w)
	for _, s := range run.Samples {
		if !s.Counts() {
			continue
		}
		if err := out.Write(run.result(s)); err != nil {
			return fmt.Errorf("write benchmark text: %w", err)
		}
	}
	return nil
}

// result is a sample in Go's form.
func (r Run) result(s Sample) *benchfmt.Result {
	result := &benchfmt.Result{Name: benchfmt.Name(r.Name(s.Config)), Iters: 1, Values: s.values()}
	for _, p := range append([]part{
		{keyOS, r.Host.OS}, {keyArch, r.Host.Arch}, {keyCPU, r.Host.CPU}, {keySchema, strconv.Itoa(r.SchemaVersion)},
		{keyHost, r.Host.Class()}, {keyData, r.Data.String()},
	}, r.constant(s.Config)...) {
		result.Config = append(result.Config, benchfmt.Config{Key: p.key, Value: []byte(p.value), File: true})
	}
	return result
}

// constant returns the dimensions that do not stand in the names.
func (r Run) constant(config Config) []part {
	var parts []part
	for _, p := range config.parts() {
		for _, key := range optional() {
			if p.key == key && !strings.Contains(r.Name(config), "/"+key+"=") {
				parts = append(parts, p)
			}
		}
	}
	return parts
}

// String says what the sources hold, in a form that can be compared.
func (d Data) String() string {
	return fmt.Sprintf("value=%d revisions=%d leases=%d seed=%d version=%d", d.ValueBytes, d.Revisions, d.Leases, d.Seed, d.Version)
}

func (s Sample) values() []benchfmt.Value {
	values := []benchfmt.Value{
		{Value: float64(s.Total), Unit: "ns/op"}, {Value: perSecond(s.SourceBytes, s.Total.Seconds()), Unit: "B/s"},
	}
	add := func(value float64, unit string) {
		if value > 0 {
			values = append(values, benchfmt.Value{Value: value, Unit: unit})
		}
	}
	for _, p := range s.Phases {
		add(float64(p.Took), p.Name+"-ns")
		if p.Bytes > 0 {
			add(perSecond(p.Bytes, p.Took.Seconds()), p.Name+"-B/s")
		}
		add(float64(p.CPU), p.Name+"-cpu-ns")
		add(float64(p.PeakRSSBytes), p.Name+"-rss-B")
		add(float64(p.OwnBytes), p.Name+"-own-B")
	}
	add(float64(s.Pace), unitPace)
	return values
}

func perSecond(bytes int64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(int64(float64(bytes) / seconds)) // a fraction of a byte says nothing
}

// WriteJSON writes the run as one document.
func WriteJSON(w io.Writer, run Run) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if run.Samples == nil {
		run.Samples = []Sample{}
	}
	if err := encoder.Encode(run); err != nil {
		return fmt.Errorf("write run as JSON: %w", err)
	}
	return nil
}

// WriteCSV writes a line for every phase of every sample, warm-ups and failures included, with one for the whole that is called
// "total".
func WriteCSV(w io.Writer, run Run) error {
	out := csv.NewWriter(w)
	head := []string{"round"}
	for _, p := range (Config{}).parts() {
		head = append(head, p.key)
	}
	rows := [][]string{append(head, "at", "phase", "after_ns", "took_ns", "bytes", "cpu_ns", "peak_rss_bytes", "own_bytes", "failure")}
	for _, s := range run.Samples {
		for _, p := range append([]Phase{{Name: "total", Took: s.Total, Bytes: s.SourceBytes}}, s.Phases...) {
			rows = append(rows, s.row(p))
		}
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write run as CSV: %w", err)
	}
	return nil
}

func (s Sample) row(p Phase) []string {
	row := []string{strconv.Itoa(s.Round)}
	for _, part := range s.Config.parts() {
		row = append(row, part.value)
	}
	row = append(row, s.At.UTC().Format("2006-01-02T15:04:05.000Z"), p.Name)
	for _, n := range []int64{int64(p.After), int64(p.Took), p.Bytes, int64(p.CPU), p.PeakRSSBytes, p.OwnBytes} {
		row = append(row, strconv.FormatInt(n, 10))
	}
	return append(row, s.Failure)
}
