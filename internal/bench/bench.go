// Package bench holds what a benchmark of restores measured: it writes it down line by line, in the text form of Go benchmarks
// and as CSV, reads it back, and tells whether one run is slower than another.
//
// It knows neither etcd nor files: it reads an io.Reader and writes to an io.Writer. What is measured, and how, is drill's.
package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SchemaVersion is the version of the stored form and of the text form. It grows when a field or a unit is renamed, removed or
// changes its meaning.
const SchemaVersion = 1

// Config is one configuration of the matrix.
type Config struct {
	SizeBytes int64  `json:"sizeBytes"` // of the source, about
	Members   int    `json:"members"`
	Source    string `json:"source"` // "snapshot" or "db"
	Route     string `json:"route"`  // "restore", "one-by-one", "seed" or "force-new-cluster"
	Etcd      string `json:"etcd"`   // version
	Runtime   string `json:"runtime"`
	Disk      string `json:"disk"`      // what kind of file system members and source lie on
	PageCache string `json:"pageCache"` // "warm" or "cold": what the machine has in memory of the source when a measurement begins
}

// The states of the page cache.
const (
	Warm = "warm"
	Cold = "cold"
)

// Host is what the measurements were made on.
type Host struct {
	OS          string `json:"os"`
	Arch        string `json:"arch"`
	CPU         string `json:"cpu"`
	CPUs        int    `json:"cpus"`
	MemoryBytes int64  `json:"memoryBytes"`
	Kernel      string `json:"kernel"`
}

// Class names hosts that can be compared with one another: the same kind and number of processors, about as much memory.
func (h Host) Class() string {
	return fmt.Sprintf("%s/%s, %d x %s, %d GiB", h.OS, h.Arch, h.CPUs, h.CPU, (h.MemoryBytes+1<<29)>>30)
}

// Header says what a run was to measure, and on what.
type Header struct {
	SchemaVersion int    `json:"schemaVersion"`
	Tool          string `json:"tool"` // version of the program
	Host          Host   `json:"host"`
	// Matrix is every configuration, in the order in which they take turns.
	Matrix []Config `json:"matrix"`
	// WarmUps rounds come first and do not count, Count rounds do.
	WarmUps int  `json:"warmUps"`
	Count   int  `json:"count"`
	Data    Data `json:"data"`
	// Places are the folders in which was measured, by the names of the disks.
	Places  map[string]string `json:"places,omitempty"`
	Started time.Time         `json:"started"`
}

// Data says what the sources hold, beside their size.
type Data struct {
	ValueBytes int    `json:"valueBytes"`
	Revisions  int    `json:"revisions"`
	Leases     int    `json:"leases"`
	Seed       uint64 `json:"seed,string"`
	// Version is that of what made the sources: those of another one hold the same in another form.
	Version int `json:"version"`
}

// The phases of a recovery. Those up to PhaseFirstWrite follow one another and add up to Sample.Total, but for what lies between
// them; PhaseAgree comes after it. The others are parts of PhaseRestore and may overlap, or, PhaseIndex, of PhaseElect.
const (
	PhaseFetch      = "fetch"   // the source is copied to the disk that is measured
	PhaseCheck      = "check"   // it is read offline: hash, structure, every record
	PhaseRestore    = "restore" // the data directories are made
	PhasePlace      = "place"   // they are vetted and become the members' disks
	PhaseStart      = "start"   // the members' processes are started
	PhaseElect      = "elect"   // until a member knows a leader
	PhaseFirstRead  = "first-read"
	PhaseFirstWrite = "first-write"
	PhaseAgree      = "agree" // until every member shows the first write

	PhaseIndex = "index-rebuild" // a member reads its database: the slowest one

	// PhaseMembers are the members' processes from their start until all agree, with the processor time of all of them and the memory
	// of the largest, where the runtime can tell.
	PhaseMembers = "members"
)

// Phase is one part of a recovery. PhaseRestore has parts of its own, which are called restore-NAME.
type Phase struct {
	Name  string        `json:"name"`
	After time.Duration `json:"afterNanoseconds"` // since the recovery began
	Took  time.Duration `json:"tookNanoseconds"`
	Bytes int64         `json:"bytes,omitempty"` // that it read or wrote of databases; 0 where it is not about that
	// CPU and PeakRSSBytes are those of the workers, or members, in this phase, of PhaseFetch the CPU of this program; 0 where they are not
	// known. The resident memory holds the pages of mapped files; OwnBytes is what a worker took beside them.
	CPU          time.Duration `json:"cpuNanoseconds,omitempty"`
	PeakRSSBytes int64         `json:"peakRSSBytes,omitempty"`
	OwnBytes     int64         `json:"ownBytes,omitempty"`
}

// Sample is one measurement.
type Sample struct {
	Config Config `json:"config"`
	// Round counts the turns; those of a warm-up are below 1.
	Round int       `json:"round"`
	At    time.Time `json:"at"`
	// SourceBytes and SourceSHA256 are those of the file that was restored from.
	SourceBytes  int64  `json:"sourceBytes"`
	SourceSHA256 string `json:"sourceSHA256"`
	// Total is the time from the decision to the first acknowledged write.
	Total  time.Duration `json:"totalNanoseconds"`
	Phases []Phase       `json:"phases"`
	// Pace is how long a fixed computation on all processors took, the mean of right before and right after: how fast the machine was.
	Pace time.Duration `json:"paceNanoseconds"`
	// Failure is why there is no measurement; empty if there is one.
	Failure string `json:"failure,omitempty"`
}

// Counts tells whether the sample is a measurement and no warm-up.
func (s Sample) Counts() bool { return s.Failure == "" && s.Round > 0 }

// Run is what a benchmark measured.
type Run struct {
	Header
	Samples []Sample `json:"samples"`
}

// Has tells whether the sample of a turn is there already, and no failure.
func (r Run) Has(config Config, round int) bool {
	return slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.Config == config && s.Round == round && s.Failure == "" })
}

// Complete tells whether every sample that counts is there.
func (r Run) Complete() bool {
	for _, config := range r.Matrix {
		for round := 1; round <= r.Count; round++ {
			if !r.Has(config, round) {
				return false
			}
		}
	}
	return true
}

// Failures returns the samples that yielded nothing and were not made up for.
func (r Run) Failures() []Sample {
	var failed []Sample
	for _, s := range r.Samples {
		if s.Failure != "" && !r.Has(s.Config, s.Round) {
			failed = append(failed, s)
		}
	}
	return failed
}

// part is one dimension of a configuration, as it stands in a benchmark's name.
type part struct{ key, value string }

func (c Config) parts() []part {
	return []part{
		{"size", Size(c.SizeBytes)}, {"members", strconv.Itoa(c.Members)}, {"source", c.Source}, {"route", c.Route},
		{keyEtcd, c.Etcd}, {keyRuntime, c.Runtime}, {keyDisk, c.Disk}, {keyPageCache, c.PageCache},
	}
}

// The dimensions that stand in a benchmark's name only where a run has more than one value of them. The others are always there.
const (
	keyEtcd      = "etcd"
	keyRuntime   = "runtime"
	keyDisk      = "disk"
	keyPageCache = "page-cache"
)

func optional() []string { return []string{keyEtcd, keyRuntime, keyDisk, keyPageCache} }

// varying returns the optional dimensions that the matrix has more than one value of.
func (r Run) varying() []string {
	values := map[string]map[string]bool{}
	for _, config := range r.Matrix {
		for _, p := range config.parts() {
			if values[p.key] == nil {
				values[p.key] = map[string]bool{}
			}
			values[p.key][p.value] = true
		}
	}
	return slices.DeleteFunc(optional(), func(key string) bool { return len(values[key]) < 2 })
}

// Name is the benchmark's name of a configuration in this run, without "Benchmark".
func (r Run) Name(config Config) string {
	name := "Restore"
	for _, p := range config.parts() {
		if !slices.Contains(optional(), p.key) || slices.Contains(r.varying(), p.key) {
			name += "/" + p.key + "=" + p.value
		}
	}
	return name
}

// Size writes a number of bytes as people write the sizes of a benchmark: 256MiB, 1GiB.
func Size(bytes int64) string {
	for _, unit := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if bytes > 0 && bytes%unit.bytes == 0 {
			return strconv.FormatInt(bytes/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(bytes, 10) + "B"
}

// String names the configuration in full.
func (c Config) String() string {
	var words []string
	for _, p := range c.parts() {
		words = append(words, p.key+"="+p.value)
	}
	return strings.Join(words, " ")
}
