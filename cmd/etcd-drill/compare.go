package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/internal/report"
)

type compareCommand struct {
	spec drill.Spec
	lose string
	hostFlags
	output
	out     string
	keep    string
	timeout time.Duration
}

func newCompare() *cobra.Command {
	c := compareCommand{spec: drill.DefaultSpec()}
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "Try every way back from one disaster on copies, and set side by side what each costs",
		Long: `Compare starts a cluster, loads it, strikes, and freezes what the disaster left: a copy of every data directory. Then it takes
every way back that is open, one after the other, each on a copy, and judges each against the same ledger: which acknowledged
writes are lost, which deleted keys are back, how long it takes, whether the cluster ID stays, whether revisions go back.`,
		Example: `  etcd-drill compare
  etcd-drill compare --lose all --fault wipe
  etcd-drill compare --lose tolerable --fault wipe
  etcd-drill compare --lose all --fault unlink
  etcd-drill compare --members 5 --keys 100000 -w json`,
		Args:    noArgs,
		PreRunE: c.check,
		RunE:    c.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.IntVar(&c.spec.Members, "members", c.spec.Members, "size of the cluster, 1 to 9")
	flags.StringVar(&c.lose, "lose", string(c.spec.Lose), "whom to lose: quorum, tolerable, all or a number")
	flags.StringVar(&c.spec.Fault, "fault", c.spec.Fault,
		"how to lose them: kill, stop, wipe, or unlink: directories deleted under running members")
	flags.IntVar(&c.spec.Keys, "keys", c.spec.Keys, "writes to acknowledge before the disaster")
	flags.IntVar(&c.spec.ValueBytes, "value-size", c.spec.ValueBytes, "bytes of a value")
	flags.IntVar(&c.spec.Workers, "workers", c.spec.Workers, "concurrent writers")
	flags.Uint64Var(&c.spec.Seed, "seed", 0, "fixes operations and victims (default: drawn and printed)")
	flags.StringVar(&c.spec.EtcdVersion, "etcd-version", "",
		"etcd version: for example 3.6.16, or 3.6 for the pinned one (default: the newest that is pinned)")
	c.hostFlags.addProgram(flags)
	flags.StringVar(&c.out, "out", "", "folder for the evidence, must be empty (default: .drill/RUN)")
	flags.StringVar(&c.keep, "keep", string(drill.KeepFailed), "keep data directories: failed, all or none")
	flags.DurationVar(&c.timeout, "timeout", 15*time.Minute, "give up after this long")
	c.output.add(flags)
	return cmd
}

func (c *compareCommand) run(cmd *cobra.Command, _ []string) (err error) {
	if !cmd.Flags().Changed("seed") {
		c.spec.Seed = drawSeed()
	}
	c.spec.Lose = faults.Target(c.lose)
	keep, err := keepOf(c.keep)
	if err != nil {
		return err
	}
	if err := requireEmpty(c.out); err != nil {
		return err
	}
	if err := c.spec.CheckComparable(); err != nil {
		return err
	}
	console := newConsole(os.Stderr)
	defer console.close()
	runtime, err := c.hostFlags.open(cmd.Context(), console.progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, runtime.Close()) }()
	compared, err := c.compare(cmd.Context(), rig{runtime: runtime, console: console, keep: keep})
	if compared.SchemaVersion == 0 {
		return err // it did not even begin
	}
	console.pause()
	return errors.Join(err, c.show(compared), verdictOf(compared.Outcome()))
}

func (c *compareCommand) compare(ctx context.Context, rig rig) (drill.Comparison, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("the comparison took longer than --timeout %s", c.timeout))
	defer cancel()
	opts, err := optionsOf(rig)
	if err != nil {
		return drill.Comparison{}, err
	}
	if opts.Folder = c.out; c.out == "" {
		opts.Folder = filepath.Join(drillsDir, opts.RunID)
	}
	rig.console.begin(place{number: 1, of: 1}, "compare the ways back")
	return drill.Compare(ctx, c.spec, opts)
}

func (c *compareCommand) show(compared drill.Comparison) error {
	if c.json() {
		return report.WriteComparisonJSON(os.Stdout, compared)
	}
	_, err := fmt.Printf("%s, seed %d, etcd %s on %s; evidence in %s\n",
		compared.Title, compared.Seed, compared.Runtime.EtcdVersion, compared.Runtime.Name, compared.Folder)
	return errors.Join(err, report.WriteComparison(os.Stdout, compared))
}

// optionsOf are what every drill of this program has in common; the folder is still to be named.
func optionsOf(rig rig) (drill.Options, error) {
	worker, err := selfWorker()
	if err != nil {
		return drill.Options{}, err
	}
	state, err := stateDir()
	if err != nil {
		return drill.Options{}, err
	}
	cache, err := cacheDir()
	if err != nil {
		return drill.Options{}, err
	}
	return drill.Options{
		Runtime: rig.runtime, Chosen: rig.runtime.Why, Worker: worker,
		Etcdutl:  release.Tools{CacheDir: cache, Progress: rig.console.progress}.Etcdutl,
		StateDir: state, RunID: harness.NewRunID(), Keep: rig.keep, Goals: rig.goals,
		Notify: rig.console.event, Watch: rig.console.watch, Tool: toolVersion(),
	}, nil
}

// keepOf reads the --keep flag.
func keepOf(text string) (drill.Keep, error) {
	keep := drill.Keep(text)
	if keep != drill.KeepFailed && keep != drill.KeepAll && keep != drill.KeepNone {
		return "", usage(fmt.Errorf("unknown --keep %q: choose failed, all or none", text))
	}
	return keep, nil
}
