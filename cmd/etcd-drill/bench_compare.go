package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/internal/bench"
)

type benchCompareCommand struct {
	output
	demands  bench.Demands
	by       string
	baseline baseline
}

func newBenchCompare() *cobra.Command {
	c := benchCompareCommand{demands: bench.DefaultDemands()}
	cmd := &cobra.Command{
		Use:   "compare [OLD] NEW",
		Short: "Tell whether restores became slower: better, worse, same or inconclusive for every configuration",
		Long: `Compare reads two runs of etcd-drill bench, each as text or as the file of measurements, and takes their samples in pairs. A
configuration is worse, or better, if the difference is at least --min-effect, is certain by several standard errors, and is seen by a
Mann-Whitney U test; unless the machine itself was slower, or faster, just then. It is the same if the difference is certainly below
that. Everything else is inconclusive: more samples, or a quieter machine, would tell.

With --baseline, OLD is the run that was accepted for hosts of this class: a folder holds one for each, and --accept makes NEW it.

With --by, two values of a dimension are compared in one run, whose configurations took turns: the best that there is.

Exit codes: 0 nothing is worse and all could be told; 1 something is worse; 2 something is inconclusive, or the runs cannot be
compared.`,
		Example: `  etcd-drill bench compare old.txt new.txt
  etcd-drill bench compare --min-effect 0.05 old.jsonl new.jsonl -w json
  etcd-drill bench compare --baseline bench/baseline new.txt
  etcd-drill bench compare --baseline bench/baseline --accept new.txt
  etcd-drill bench compare --by etcd=3.6.16,3.7.3 versions.txt`,
		PreRunE: c.check,
		RunE:    c.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Float64Var(&c.demands.MinEffect, "min-effect", c.demands.MinEffect, "the least difference that matters, as a part of the old time")
	flags.Float64Var(&c.demands.Alpha, "alpha", c.demands.Alpha, "level of significance")
	flags.BoolVar(&c.demands.Force, "force", false, "compare runs on different hosts, or of different configurations")
	flags.StringVar(&c.by, "by", "", "compare two values of a dimension in one run: KEY=OLD,NEW")
	flags.StringVar(&c.baseline.dir, "baseline", "",
		"folder of the runs that were accepted, one for every class of hosts; takes the place of OLD")
	flags.BoolVar(&c.baseline.accept, "accept", false, "make NEW the baseline of its class of hosts, whatever is told of it")
	c.output.add(flags)
	return cmd
}

// judgementError carries a judgement to the exit code; it was printed already.
type judgementError struct{ judgement bench.Judgement }

func (j judgementError) Error() string { return string(j.judgement) }

func (c *benchCompareCommand) run(cmd *cobra.Command, args []string) error {
	if err := c.demands.Check(); err != nil {
		return usage(err)
	}
	before, after, err := c.series(cmd, args)
	if err == nil {
		err = c.compare(before, after)
	}
	if c.baseline.accept && after.Name != "" { // it was read, and what is told of it is no reason against it
		if err != nil && !saidAlready(err) {
			fmt.Fprintln(os.Stderr, "etcd-drill: not compared:", err)
		}
		return c.baseline.store(after.Name, after)
	}
	return err
}

// compare tells what there is to tell of two runs.
func (c *benchCompareCommand) compare(before, after bench.Series) error {
	compared, err := bench.Compare(before, after, c.demands)
	if err != nil {
		return err
	}
	if c.json() {
		err = bench.WriteComparisonJSON(os.Stdout, compared)
	} else {
		err = bench.WriteComparison(os.Stdout, compared)
	}
	told := appendTo(os.Getenv(envSummary), func(out io.Writer) error { return bench.WriteComparisonMarkdown(out, compared) })
	if told != nil { // which changes no judgement
		fmt.Fprintln(os.Stderr, "etcd-drill: tell GitHub:", told)
	}
	if judgement := compared.Judgement(); judgement == bench.Worse || judgement == bench.Inconclusive {
		err = errors.Join(err, judgementError{judgement})
	}
	return err
}

// series reads what is to be compared: two files, or two halves of one.
func (c *benchCompareCommand) series(cmd *cobra.Command, args []string) (before, after bench.Series, err error) {
	if c.baseline.accept && c.baseline.dir == "" || c.baseline.dir != "" && (c.by != "" || len(args) != 1) {
		return before, after, usage(errors.New("--baseline takes a folder and goes with one run, NEW; --accept goes with --baseline"))
	}
	if c.baseline.dir != "" {
		if after, err = readSeries(args[0]); err == nil {
			before, err = c.baseline.against(after)
		}
		return before, after, err
	}
	if c.by == "" {
		if len(args) != 2 {
			path := cmd.CommandPath()
			return before, after, usage(fmt.Errorf("%s takes two runs, OLD and NEW, got %d; see %s --help", path, len(args), path))
		}
		if before, err = readSeries(args[0]); err == nil {
			after, err = readSeries(args[1])
		}
		return before, after, err
	}
	key, values, found := strings.Cut(c.by, "=")
	old, changed, several := strings.Cut(values, ",")
	if !found || !several || len(args) != 1 {
		return before, after, usage(errors.New("--by takes two values of a dimension, as in --by etcd=3.6.16,3.7.3, and goes with one run"))
	}
	all, err := readSeries(args[0])
	if err != nil {
		return before, after, err
	}
	if before, err = all.Take(key, old); err == nil {
		after, err = all.Take(key, changed)
	}
	return before, after, err
}

func readSeries(path string) (bench.Series, error) {
	file, err := os.Open(path)
	if err != nil {
		return bench.Series{}, err
	}
	defer file.Close() //nolint:errcheck // reading is all that was wanted
	return bench.ReadSeries(file, path)
}
