package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness/host"
)

type cleanCommand struct {
	output
	run    string
	force  bool
	cache  bool
	dryRun bool
}

func newClean() *cobra.Command {
	var c cleanCommand
	cmd := &cobra.Command{
		Use:   "clean",
		Short: "Remove what dead runs left; touches nothing that it did not create",
		Long: `Clean removes the containers, networks, volumes, processes and work folders of runs whose harness is gone. A run that
still lives is left alone. A process is ended only if its number, its start and its run are those that were noted. Evidence
in drill folders stays, and so do cached images and binaries unless --cache is given.`,
		Example: `  etcd-drill clean
  etcd-drill clean --dry-run
  etcd-drill clean --run 7f3c2a91 --force`,
		Args:    noArgs,
		PreRunE: c.check,
		RunE:    func(cmd *cobra.Command, _ []string) (err error) { return c.do(cmd) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&c.run, "run", "", "clean this run only")
	flags.BoolVar(&c.force, "force", false, "with --run: even if it has no record here, or still lives")
	flags.BoolVar(&c.cache, "cache", false, "remove cached binaries and the images built from them, too")
	flags.BoolVar(&c.dryRun, "dry-run", false, "only say what would be removed")
	c.output.add(flags)
	return cmd
}

func (c *cleanCommand) do(cmd *cobra.Command) (err error) {
	if c.force && c.run == "" {
		return usage(errors.New("--force goes with --run ID; without it only dead runs are cleaned"))
	}
	state, err := stateDir()
	if err != nil {
		return err
	}
	cfg, err := (&hostFlags{}).config(nil)
	if err != nil {
		return err
	}
	here, absent, err := host.All(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	sweep := drill.Sweeper{Absent: absent, StateDir: state, DryRun: c.dryRun}
	for _, runtime := range here {
		sweep.Runtimes = append(sweep.Runtimes, runtime)
		defer func() { err = errors.Join(err, runtime.Close()) }()
	}
	clean := sweep.Dead
	if c.force {
		clean = sweep.Forced
	}
	swept, err := clean(cmd.Context(), c.run)
	if c.cache && err == nil && !c.dryRun {
		err = dropCache(cmd.Context(), here)
	}
	return errors.Join(c.show(swept), err)
}

// imageKeeper is a runtime that keeps images of its own making.
type imageKeeper interface {
	DropImages(ctx context.Context) error
}

// dropCache removes what spares later runs a build. Images of an engine that does not answer stay.
func dropCache(ctx context.Context, here []host.Runtime) error {
	dir, err := cacheDir()
	if err != nil {
		return err
	}
	for _, runtime := range here {
		if keeper, ok := runtime.(imageKeeper); ok {
			err = errors.Join(err, keeper.DropImages(ctx))
		}
	}
	return errors.Join(err, os.RemoveAll(dir))
}

func (c *cleanCommand) show(swept []drill.Swept) error {
	if c.json() {
		if swept == nil {
			swept = []drill.Swept{}
		}
		return writeJSON(os.Stdout, swept)
	}
	if len(swept) == 0 {
		fmt.Println("nothing to clean")
	}
	for _, run := range swept {
		verb := "removed"
		if c.dryRun {
			verb = "would remove"
		}
		fmt.Printf("run %s: %s %d things and its work folder\n", run.RunID, verb, run.Removed)
	}
	return nil
}
