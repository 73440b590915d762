package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/internal/doctor"
	"github.com/etcd-drill/etcd-drill/internal/kernel"
)

type doctorCommand struct {
	hostFlags
	output
}

func newDoctor() *cobra.Command {
	var d doctorCommand
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine this machine: can drills run here, on what, and what is missing for more",
		Long: `Doctor looks for a container engine, an etcd or the means to build one, shared folders, room, and what the kernel can do
to members, each by trying it in a throw-away place. It leaves nothing behind.

It exits with 0 if a default drill can run, with 2 if not.`,
		Example: `  etcd-drill doctor
  etcd-drill doctor --runtime process
  etcd-drill doctor -w json`,
		Args:    noArgs,
		PreRunE: d.check,
		RunE:    func(cmd *cobra.Command, _ []string) error { return d.do(cmd) },
	}
	cmd.Flags().SortFlags = false
	d.hostFlags.add(cmd.Flags())
	d.output.add(cmd.Flags())
	return cmd
}

// errCannotRun carries the exit code; why no drill can run stands in the table.
var errCannotRun = errors.New("no default drill can run here")

func (d *doctorCommand) do(cmd *cobra.Command) error {
	console := newConsole(os.Stderr)
	stop := release.Tick(console.progress, func(elapsed time.Duration) string {
		return fmt.Sprintf("examining this machine, %s", elapsed)
	})
	patient, err := d.patient()
	var found doctor.Diagnosis
	if err == nil {
		found, err = doctor.Examine(cmd.Context(), patient)
	}
	stop()
	console.close()
	if err != nil {
		return err
	}
	if d.json() {
		err = writeJSON(os.Stdout, found)
	} else {
		err = showDiagnosis(found)
	}
	if err == nil && !found.CanRun {
		err = errCannotRun
	}
	return err
}

func (d *doctorCommand) patient() (doctor.Patient, error) {
	cfg, err := d.config(nil)
	if err != nil {
		return doctor.Patient{}, err
	}
	room, err := drill.MeasureRoom(".", drill.DefaultSpec())
	if err != nil {
		return doctor.Patient{}, err
	}
	dead, err := harness.DeadIDs(cfg.StateDir)
	if err != nil {
		return doctor.Patient{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return doctor.Patient{}, fmt.Errorf("find own program: %w", err)
	}
	dir, err := filepath.Abs(drillsDir)
	if err != nil {
		return doctor.Patient{}, fmt.Errorf("find folder of drills: %w", err)
	}
	return doctor.Patient{
		Host: cfg, Kernel: kernel.Prober{Path: self, Args: []string{probeCommand}}, Dead: dead,
		Room: doctor.Room{
			Dir: dir, DiskFreeBytes: room.DiskFreeBytes, DiskNeedBytes: room.DiskNeedBytes,
			MemoryFreeBytes: room.MemoryFreeBytes, MemoryNeedBytes: room.MemoryNeedBytes,
		},
	}, nil
}

func showDiagnosis(d doctor.Diagnosis) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, f := range d.Findings {
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.What, f.State, f.Seen)
		fmt.Fprintf(table, "\t\tmeans: %s\n", f.Means)
		if f.Do != "" {
			fmt.Fprintf(table, "\t\tdo: %s\n", f.Do)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if d.CanRun {
		_, err := fmt.Fprintf(os.Stdout, "a default drill can run here, on the runtime %s\n", d.Runtime)
		return err
	}
	return nil
}

// probeCommand is how this program starts itself to try what a kernel can do, in namespaces that end with the process.
const probeCommand = "__probe"

func newProbe() *cobra.Command {
	return &cobra.Command{
		Use:    probeCommand,
		Hidden: true,
		Args:   noArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return kernel.Serve(cmd.Context(), os.Stdin, os.Stdout) },
	}
}
