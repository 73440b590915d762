package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

type inspectCommand struct {
	walDir string
	output
}

func newInspect() *cobra.Command {
	var i inspectCommand
	cmd := &cobra.Command{
		Use:   "inspect FILE|DIR...",
		Short: "Tell what snapshots, db copies and data directories hold, and which of them to restore from",
		Long: `Inspect finds out offline what each file or directory is worth: its restore point, what the write-ahead log has beyond it,
members, leases, users, alarms, and which releases of etcd start on it. It names what is damaged, and directories on which
etcd would start and must not: half restored, put together by hand, without their log. Of several remains of one cluster it
says which one every member must be restored from, and what each of the others would lose.

It needs neither etcd nor an engine, works on copies in the folder for temporary files ($TMPDIR), and changes nothing of what
it inspects. No key and no value is printed.

Exit codes: 0 nothing speaks against any of them; 1 something is proved bad, or no member may start on it, or they are of
different clusters; 2 something could not be read, or may have changed meanwhile; 64 wrong usage.`,
		Example: `  etcd-drill inspect backup.db
  etcd-drill inspect /var/lib/etcd
  etcd-drill inspect /data/etcd --wal-dir /wal/etcd
  etcd-drill inspect monday.db tuesday.db m1/etcd m2/etcd m3/etcd -w json`,
		PreRunE: i.check,
		RunE:    i.do,
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&i.walDir, "wal-dir", "", "where the write-ahead log of the one directory lies, if etcd had a --wal-dir")
	i.output.add(cmd.Flags())
	return cmd
}

func (i *inspectCommand) check(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage(fmt.Errorf("nothing to inspect; see %s --help", cmd.CommandPath()))
	}
	if i.walDir != "" && len(args) > 1 {
		return usage(errors.New("--wal-dir goes with one directory; inspect the others by themselves"))
	}
	return i.output.check(cmd, args)
}

// inspected is the result of the command.
type inspected struct {
	Inspections []recovery.Inspection `json:"inspections"`
	Unreadable  []unreadable          `json:"unreadable,omitempty"`
	// Choice is there if there was a choice, NoChoice if none could be made.
	Choice   *recovery.Choice `json:"choice,omitempty"`
	NoChoice string           `json:"noChoice,omitempty"`
}

type unreadable struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// The outcomes that are not success; what they are about was printed.
var (
	errUnsound  = errors.New("something is proved bad, or must not be started on or restored from together")
	errDoubtful = errors.New("something could not be read, or may have changed meanwhile")
)

func (i *inspectCommand) do(cmd *cobra.Command, args []string) error {
	worker, err := selfWorker()
	if err != nil {
		return err
	}
	found, err := i.look(cmd.Context(), worker, args)
	if err != nil {
		return err
	}
	var rankErr error
	if len(args) > 1 {
		var choice recovery.Choice
		choice, rankErr = recovery.Rank(found.Inspections)
		found.Choice = &choice
		if rankErr != nil {
			found.NoChoice = rankErr.Error()
		}
	}
	if i.json() {
		err = writeJSON(os.Stdout, found)
	} else {
		err = showInspected(os.Stdout, found)
	}
	return errors.Join(err, found.outcome(rankErr))
}

// look inspects one after the other. What cannot be read does not keep the others from being inspected.
func (i *inspectCommand) look(ctx context.Context, worker offline.Worker, paths []string) (inspected, error) {
	var opts []offline.InspectOption
	if i.walDir != "" {
		opts = append(opts, offline.WithWALDir(i.walDir))
	}
	console := newConsole(os.Stderr)
	defer console.close()
	found := inspected{Inspections: []recovery.Inspection{}}
	for _, path := range paths {
		console.progress("inspecting " + path)
		one, err := offline.Inspect(ctx, worker, path, opts...)
		switch {
		case ctx.Err() != nil:
			return found, context.Cause(ctx)
		case err != nil:
			found.Unreadable = append(found.Unreadable, unreadable{Path: path, Why: err.Error()})
		default:
			found.Inspections = append(found.Inspections, one)
		}
	}
	return found, nil
}

func (f inspected) outcome(rankErr error) error {
	doubtful := len(f.Unreadable) > 0
	for _, one := range f.Inspections {
		if !one.Sound() {
			return errUnsound
		}
		doubtful = doubtful || one.Doubtful()
	}
	switch {
	case errors.Is(rankErr, recovery.ErrOtherCluster), errors.Is(rankErr, recovery.ErrForked):
		return errUnsound
	case doubtful || rankErr != nil:
		return errDoubtful
	}
	return nil
}
