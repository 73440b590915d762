package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/internal/report"
)

type runCommand struct {
	specFlags
	ownFlags
	hostFlags
	output
	goalFlags
	out       string
	keep      string
	timeout   time.Duration
	digestKey string
}

func newRun() *cobra.Command {
	var r runCommand
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Rehearse a drill and prove the result",
		Long: `Run starts a cluster, loads it, strikes, recovers, and judges the result.

Without --lose, --fault, --source and --backup it runs the main job: the quorum killed and recovered from a snapshot
saved from the survivor, then all members killed and recovered from a copy of a dead member's database.

With --snapshot it drills a backup of yours: restores it into a new cluster on this machine, and proves that every member holds
what the backup holds. What is in it is told by its content, and nothing is written to it. With --endpoints it saves a snapshot from
a living cluster first, which is only read.`,
		Example: `  etcd-drill run
  etcd-drill run --members 5 --lose 3 --fault wipe --source snapshot --backup before --seed 7
  etcd-drill run --source db --lose all -w json
  etcd-drill run --lose all --source db --rto 60s --max-lost 1000
  etcd-drill run --snapshot backup.db --rto 60s
  etcd-drill run --endpoints https://10.0.0.1:2379,https://10.0.0.2:2379 --cacert ca.crt --cert root.crt --key root.key
  aws s3 cp s3://bucket/etcd.db.gz - | etcd-drill run --snapshot -
  etcd-drill run --etcd-version 3.6 --restore-version 3.7
  etcd-drill run --runtime process --binary /usr/bin/etcd`,
		Args:    noArgs,
		PreRunE: r.check,
		RunE:    r.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	r.specFlags.add(flags)
	r.ownFlags.add(flags)
	r.hostFlags.addProgram(flags)
	r.goalFlags.add(flags)
	flags.StringVar(&r.out, "out", "", "drill folder, must be empty (default: .drill/RUN)")
	flags.StringVar(&r.keep, "keep", string(drill.KeepFailed),
		"keep data directories of which drills: failed, all or none (of a backup of your own: none)")
	flags.StringVar(&r.digestKey, "digest-key", "",
		"file with the key under which the evidence speaks of values, 16 bytes or more (default: drawn, and written down nowhere)")
	flags.DurationVar(&r.timeout, "timeout", 15*time.Minute, "give up a drill after this long")
	r.output.add(flags)
	return cmd
}

func (r *runCommand) run(cmd *cobra.Command, _ []string) (err error) {
	start := time.Now()
	specs, err := r.specs(cmd.Flags())
	if err != nil {
		return err
	}
	r.version = specs[0].EtcdVersion // an image or a program that was named must hold it
	goals, err := r.allGoals(cmd.Flags())
	if err != nil {
		return err
	}
	keep, err := r.keeps(cmd.Flags(), specs)
	if err != nil {
		return err
	}
	if err := requireEmpty(r.out); err != nil {
		return err
	}
	console := newConsole(os.Stderr)
	defer console.close()
	runtime, err := r.hostFlags.open(cmd.Context(), console.progress)
	if err != nil {
		return errors.Join(err, r.showNotBegun(specs, goals, err))
	}
	defer func() { err = errors.Join(err, runtime.Close()) }()
	reports, err := r.rehearseAll(cmd.Context(), specs, rig{runtime, console, keep, goals})
	if len(reports) == 0 {
		return err // none did even begin
	}
	console.pause()
	summary := report.NewSummary(reports, time.Since(start), lookForLeft(cmd.Context(), runtime, reports))
	return errors.Join(err, r.finish(summary))
}

// specs are the drill of a backup that was named, or those that make their own disaster.
func (r *runCommand) specs(flags *pflag.FlagSet) ([]drill.Spec, error) {
	own, err := r.ownFlags.wanted(flags)
	if err != nil {
		return nil, err
	}
	if !own {
		return r.drills(flags)
	}
	base, err := r.plain(flags)
	if err != nil {
		return nil, err
	}
	spec, err := r.ownFlags.spec(base, r.hostFlags)
	return []drill.Spec{spec}, err
}

// allGoals adds what is demanded of a backup alone.
func (r *runCommand) allGoals(flags *pflag.FlagSet) (drill.Goals, error) {
	goals, err := r.goals(flags)
	if flags.Changed("canary-max-age") {
		goals.CanaryAge = &r.canaryAge
	}
	if failure := goals.Check(); err == nil && failure != nil {
		err = usage(failure)
	}
	return goals, err
}

// keeps is the --keep flag. What a backup of the user's own holds stays nowhere unless somebody asks for it.
func (r *runCommand) keeps(flags *pflag.FlagSet, specs []drill.Spec) (drill.Keep, error) {
	if specs[0].Own != nil && !flags.Changed("keep") {
		return drill.KeepNone, nil
	}
	return keepOf(r.keep)
}

// requireEmpty refuses a folder for the evidence that holds something, before anything is made in it.
func requireEmpty(out string) error {
	if out == "" {
		return nil
	}
	entries, err := os.ReadDir(out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look into --out: %w", err)
	}
	if len(entries) > 0 {
		return usage(fmt.Errorf("--out %s holds %q and more; name another folder, or empty it", out, entries[0].Name()))
	}
	return nil
}

// showNotBegun writes the one document that a reader of -w json waits for, and tells GitHub, when no drill could begin.
func (r *runCommand) showNotBegun(specs []drill.Spec, goals drill.Goals, reason error) error {
	var reports []report.Report
	for i, spec := range specs {
		at := drill.Options{Tool: toolVersion(), Number: i + 1, Of: len(specs), Goals: goals}
		reports = append(reports, drill.NotBegun(spec, at, reason))
	}
	summary := report.NewSummary(reports, 0, report.Left{Names: []string{}})
	tellGitHub(summary)
	if !r.json() {
		return nil
	}
	return report.WriteSummaryJSON(os.Stdout, summary)
}

// rehearseAll goes on after a drill that failed, unless it was interrupted or the next would meet the same end.
func (r *runCommand) rehearseAll(ctx context.Context, specs []drill.Spec, rig rig) (reports []report.Report, err error) {
	for i, spec := range specs {
		one, failure := r.rehearse(ctx, spec, place{number: i + 1, of: len(specs)}, rig)
		err = errors.Join(err, failure)
		if one.SchemaVersion == 0 {
			return reports, err // it did not even begin
		}
		reports = append(reports, one)
		if !r.json() {
			if failure := r.show(ctx, one, rig.console); failure != nil {
				return reports, errors.Join(err, failure)
			}
		}
		if ctx.Err() != nil || errors.Is(failure, drill.ErrNoEtcd) || errors.Is(failure, drill.ErrNoSpace) {
			break
		}
	}
	return reports, err
}

// place is a drill's place among those of its run.
type place struct{ number, of int }

// rig is what all drills of a run share.
type rig struct {
	runtime host.Chosen
	console *console
	keep    drill.Keep
	goals   drill.Goals
}

func (r *runCommand) rehearse(ctx context.Context, spec drill.Spec, at place, rig rig) (report.Report, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("the drill took longer than --timeout %s", r.timeout))
	defer cancel()
	opts, err := optionsOf(rig)
	if err != nil {
		return report.Report{}, err
	}
	if opts.DigestKey, err = r.readDigestKey(); err != nil {
		return report.Report{}, err
	}
	rig.console.begin(at, spec.Title())
	opts.Folder, opts.Number, opts.Of = r.folder(opts.RunID, at), at.number, at.of
	return drill.Rehearse(ctx, spec, opts)
}

// minDigestKey is how many bytes a key of digests must have, so that it cannot be guessed.
const minDigestKey = 16

// readDigestKey returns nothing where no key was named.
func (r *runCommand) readDigestKey() ([]byte, error) {
	if r.digestKey == "" {
		return nil, nil
	}
	key, err := os.ReadFile(r.digestKey)
	if err != nil {
		return nil, fmt.Errorf("read --digest-key: %w", err)
	}
	if len(key) < minDigestKey {
		return nil, usage(fmt.Errorf("--digest-key %s has %d bytes, which can be guessed; it needs %d",
			r.digestKey, len(key), minDigestKey))
	}
	return key, nil
}

// drillsDir is where drills keep their folders if nobody names another place.
const drillsDir = ".drill"

// folder is where the drill's evidence goes: --out itself for a single drill.
func (r *runCommand) folder(id string, at place) string {
	switch {
	case r.out == "":
		return filepath.Join(drillsDir, id)
	case at.of == 1:
		return r.out
	}
	return filepath.Join(r.out, strconv.Itoa(at.number))
}

func (r *runCommand) show(ctx context.Context, one report.Report, console *console) error {
	console.pause()
	if one.Failure != "" && errors.Is(context.Cause(ctx), errInterrupted) {
		one.Failure = errInterrupted.Error() // which call it was that a signal cut short is in the stored report
	}
	if one.Number == 1 {
		if err := report.WriteHeader(os.Stdout, one); err != nil {
			return err
		}
	}
	return report.WriteText(os.Stdout, one, report.Style{Color: colored(os.Stdout)})
}

// finish writes what stands below all drills, and turns the worst result into an error for the exit code.
func (r *runCommand) finish(summary report.Summary) error {
	var err error
	tellGitHub(summary)
	if r.json() {
		err = report.WriteSummaryJSON(os.Stdout, summary)
	} else {
		err = report.WriteSummary(os.Stdout, summary)
	}
	return errors.Join(err, resultOf(summary.Result()))
}

// lookForLeft asks the runtime what of these drills is still there.
func lookForLeft(ctx context.Context, runtime host.Runtime, reports []report.Report) report.Left {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	left := report.Left{Names: []string{}}
	for _, one := range reports {
		names, err := runtime.Left(ctx, one.RunID)
		if err != nil {
			left.Unchecked = err.Error()
		}
		left.Names = append(left.Names, names...)
	}
	return left
}

func drawSeed() uint64 {
	var random [4]byte // short enough to be typed again
	rand.Read(random[:])
	return uint64(binary.BigEndian.Uint32(random[:]))
}
