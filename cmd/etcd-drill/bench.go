package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/internal/bench"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/dataset"
)

type benchCommand struct {
	hostFlags
	spec                drill.BenchSpec
	sizes               sizeList
	sources, routes     []string
	versions, disks     []string
	out, resume, format string
	valueSize           byteSize
	timeout             time.Duration
}

func newBench() *cobra.Command {
	c := benchCommand{sizes: sizeList{16 << 20, 256 << 20}, valueSize: 1024}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how long restores take, over a matrix of sizes, members, sources, routes, versions and disks",
		Long: `Bench restores databases of the sizes that are asked for, starts the clusters, and tells how long every phase took until the first
acknowledged write. The databases are made once, the same on every machine, and kept in the cache. Configurations take turns, so
that what drifts drifts for all of them; a first round warms up and does not count; no outlier is left out.

Every measurement is written to the --out file as soon as it is made. An interrupted run prints what it has, and goes on with
--resume. The result is the text of Go benchmarks, which benchstat reads; etcd-drill bench compare holds two runs against each other.`,
		Example: `  etcd-drill bench --sizes 16MiB,256MiB,1GiB --members 1,3 --count 5 > new.txt
  etcd-drill bench --route restore,one-by-one,seed,force-new-cluster --disk tmpfs,real
  etcd-drill bench --etcd-version 3.6,3.7 --count 10 -w json > versions.json
  etcd-drill bench --resume .drill/bench-7f3c2a91.jsonl > new.txt
  etcd-drill bench report .drill/bench-7f3c2a91.jsonl -w html > new.html
  etcd-drill bench compare old.txt new.txt`,
		Args:    noArgs,
		PreRunE: c.check,
		RunE:    c.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	c.add(flags)
	cmd.AddCommand(newBenchCompare(), newBenchReport())
	return cmd
}

func (c *benchCommand) add(flags *pflag.FlagSet) {
	flags.Var(&c.sizes, "sizes", "sizes of the databases, 1MiB to 64GiB")
	flags.IntSliceVar(&c.spec.Members, "members", []int{3}, "numbers of members")
	flags.StringSliceVar(&c.sources, "source", []string{string(recovery.SavedSnapshot)}, "what to restore from: snapshot, db")
	flags.StringSliceVar(&c.routes, "route", []string{string(drill.BenchRestore)}, "ways back: restore, one-by-one, seed, force-new-cluster")
	flags.StringSliceVar(&c.versions, "etcd-version", []string{""},
		"versions of etcd, for example 3.6,3.7 (default: the newest that is pinned)")
	c.hostFlags.addProgram(flags)
	flags.StringSliceVar(&c.disks, "disk", []string{"real"},
		"where members and sources lie: tmpfs, real for the folder of the --out file, a folder, or NAME=FOLDER")
	flags.StringSliceVar(&c.spec.PageCaches, "page-cache", []string{bench.Warm},
		"whether a source is in memory when a measurement begins: warm, cold")
	flags.Var(&c.valueSize, "value-size", "bytes of a value in the databases")
	flags.IntVar(&c.spec.Data.Revisions, "revisions", 1, "revisions of every key in the databases")
	flags.IntVar(&c.spec.Data.Leases, "leases", 0, "leases in the databases")
	flags.Uint64Var(&c.spec.Data.Seed, "seed", 1, "fixes the values in the databases")
	flags.IntVar(&c.spec.WarmUps, "warm-up", 1, "rounds that come first and do not count")
	flags.IntVar(&c.spec.Count, "count", 5, "rounds that count")
	flags.StringVar(&c.out, "out", "", "file of measurements, must not be there (default: .drill/bench-ID.jsonl)")
	flags.StringVar(&c.resume, "resume", "", "go on with this file of measurements; what is to be measured stands in it")
	flags.DurationVar(&c.timeout, "timeout", 24*time.Hour, "give up after this long; what was measured is kept")
	flags.StringVarP(&c.format, "write-out", "w", benchText, "output format: text of Go benchmarks, json, csv or html")
}

// The output formats.
const (
	benchText = "text"
	benchJSON = "json"
	benchCSV  = "csv"
	benchHTML = "html"
)

// checkBenchFormat refuses a format that there is not.
func checkBenchFormat(format string) error {
	all := []string{benchText, benchJSON, benchCSV, benchHTML}
	if !slices.Contains(all, format) {
		return usage(fmt.Errorf("unknown output format %q: choose one of %s", format, strings.Join(all, ", ")))
	}
	return nil
}

func (c *benchCommand) check(cmd *cobra.Command, _ []string) error {
	if err := checkBenchFormat(c.format); err != nil {
		return err
	}
	if c.resume == "" {
		return nil
	}
	for _, name := range []string{
		"sizes", "members", "source", "route", "etcd-version", "runtime", "image", "binary", "disk", "page-cache", "value-size", "revisions",
		"leases", "seed", "warm-up", "count", "out",
	} {
		if cmd.Flags().Changed(name) {
			return usage(fmt.Errorf("--%s does not go with --resume: what is to be measured stands in %s", name, c.resume))
		}
	}
	return nil
}

func (c *benchCommand) run(cmd *cobra.Command, _ []string) (err error) {
	if err := c.settle(); err != nil {
		return err
	}
	console := newConsole(os.Stderr)
	defer console.close()
	opts, err := c.options(cmd.Context(), console)
	defer func() {
		for _, runtime := range opts.Runtimes {
			err = errors.Join(err, runtime.(host.Runtime).Close())
		}
	}()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), c.timeout, fmt.Errorf("the benchmark took longer than --timeout %s", c.timeout))
	defer cancel()
	measured, err := drill.Bench(ctx, c.spec, opts)
	console.pause()
	if err != nil && len(measured.Samples) == 0 {
		return err
	}
	return errors.Join(err, showBench(measured, c.format), c.tell(measured, opts.Store))
}

// settle fills the spec from the flags.
func (c *benchCommand) settle() (err error) {
	if c.resume != "" {
		return nil
	}
	if c.out == "" {
		if err := os.MkdirAll(drillsDir, 0o700); err != nil {
			return err
		}
		c.out = filepath.Join(drillsDir, "bench-"+harness.NewRunID()+".jsonl")
	}
	c.spec.Sizes, c.spec.Data.ValueBytes = c.sizes, int(c.valueSize)
	for _, source := range c.sources {
		c.spec.Sources = append(c.spec.Sources, recovery.Kind(source))
	}
	for _, route := range c.routes {
		c.spec.Routes = append(c.spec.Routes, drill.BenchRoute(route))
	}
	for _, version := range c.versions {
		c.spec.Versions = append(c.spec.Versions, release.Full(version))
	}
	for _, text := range c.disks {
		disk, err := drill.NewBenchDisk(text, filepath.Dir(c.out))
		if err != nil {
			return err
		}
		c.spec.Disks = append(c.spec.Disks, disk)
	}
	return c.spec.Check()
}

func (c *benchCommand) options(ctx context.Context, console *console) (drill.BenchOptions, error) {
	worker, err := selfWorker()
	if err != nil {
		return drill.BenchOptions{}, err
	}
	state, err := stateDir()
	if err != nil {
		return drill.BenchOptions{}, err
	}
	cache, err := cacheDir()
	if err != nil {
		return drill.BenchOptions{}, err
	}
	opts := drill.BenchOptions{
		Options: drill.Options{
			Worker: worker, StateDir: state, Tool: toolVersion(),
			Etcdutl: release.Tools{CacheDir: cache, Progress: console.progress}.Etcdutl,
		},
		Cache: dataset.In(cache), Store: c.out, Progress: console.progress,
	}
	wanted := strings.Split(c.runtime, ",")
	if c.resume != "" {
		opts.Store, opts.Resume = c.resume, true
		if wanted, err = runtimesOf(c.resume); err != nil {
			return opts, err
		}
	}
	for _, choice := range wanted {
		one := c.hostFlags
		one.runtime = choice
		runtime, err := one.open(ctx, console.progress)
		if err != nil {
			return opts, err
		}
		opts.Runtimes = append(opts.Runtimes, runtime)
	}
	return opts, nil
}

// runtimesOf are those that a stored run needs.
func runtimesOf(path string) ([]string, error) {
	stored, err := drill.ReadBench(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, config := range stored.Matrix {
		if !slices.Contains(names, config.Runtime) {
			names = append(names, config.Runtime)
		}
	}
	return names, nil
}

// showBench writes what was measured to standard output.
func showBench(measured bench.Run, format string) error {
	switch format {
	case benchJSON:
		return bench.WriteJSON(os.Stdout, measured)
	case benchCSV:
		return bench.WriteCSV(os.Stdout, measured)
	case benchHTML:
		return bench.WriteHTML(os.Stdout, measured)
	}
	return bench.WriteText(os.Stdout, measured)
}

// errNotMeasured means that some configurations have fewer samples than they should.
var errNotMeasured = errors.New("not everything was measured")

// tell says where the measurements are, and what is missing.
func (c *benchCommand) tell(measured bench.Run, store string) error {
	fmt.Fprintf(os.Stderr, "%d measurements are in %s\n", len(measured.Samples), store)
	if measured.Complete() {
		return nil
	}
	text := fmt.Sprintf("go on with: etcd-drill bench --resume %s", store)
	for _, failed := range measured.Failures() {
		text += fmt.Sprintf("\n  %s, round %d: %s", failed.Config, failed.Round, failed.Failure)
	}
	return fmt.Errorf("%w; %s", errNotMeasured, text)
}

// sizeList is a flag of several sizes.
type sizeList []int64

// String implements pflag.Value.
func (s *sizeList) String() string {
	var words []string
	for _, size := range *s {
		one := byteSize(size)
		words = append(words, one.String())
	}
	return strings.Join(words, ",")
}

// Set implements pflag.Value.
func (s *sizeList) Set(text string) error {
	var all sizeList
	for word := range strings.SplitSeq(text, ",") {
		var one byteSize
		if err := one.Set(word); err != nil {
			return err
		}
		all = append(all, int64(one))
	}
	*s = all
	return nil
}

// Type implements pflag.Value.
func (s *sizeList) Type() string { return "sizes" }
