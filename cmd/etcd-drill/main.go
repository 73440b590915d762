// Command etcd-drill rehearses the loss of an etcd cluster's quorum, the recovery, and proves the result.
//
// One file holds one command; none holds logic. This is where environment, flags and signals are read.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

func run(args []string) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		announce("etcd-drill: interrupted, cleaning up; press Ctrl-C again to leave at once (etcd-drill clean removes the rest)")
		cancel(errInterrupted)
		<-signals
		announce("etcd-drill: left at once; etcd-drill clean removes what is still there")
		os.Exit(exitInterrupted)
	}()
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	code := exitCode(ctx, err)
	if err != nil && !saidAlready(err) {
		fmt.Fprintln(os.Stderr, "etcd-drill:", err)
	}
	return code
}

// announce writes a line to standard error, over the refreshing line and the ^C that a terminal may show there.
func announce(text string) {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		text = "\r\x1b[K" + text
	}
	fmt.Fprintln(os.Stderr, text)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "etcd-drill",
		Short: "Rehearse the loss of an etcd quorum, the recovery, and prove the result",
		Long: `etcd-drill starts an etcd cluster, loads it while writing down every acknowledged write, destroys more members than
the quorum can spare, recovers as etcd's recovery page says, and proves by evidence what the restored cluster holds.

Exit codes: 0 intact and inside the targets; 1 damaged, or the source was proved bad, or a target missed; 2 inconclusive, or it
could not run, or a target was not measured; 64 wrong usage; 130 interrupted, after cleaning up.`,
		Example: `  etcd-drill run                                            the main job: two drills
  etcd-drill run --members 5 --lose 3 --fault wipe --source snapshot --backup before
  etcd-drill plan --source db --lose all
  etcd-drill verify .drill/7f3c2a91`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
		Args:              noCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w; see %s --help", err, cmd.CommandPath()))
	})
	root.AddCommand(
		newRun(), newCompare(), newBench(), newPlan(), newVerify(), newReport(), newInspect(), newManifest(),
		newList(), newClean(), newDoctor(), newVersion(), newWorker(), newProbe(),
	)
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Args = noCommand // cobra's own shows its help for an unknown shell, as if all were well
		completion.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	return root
}
