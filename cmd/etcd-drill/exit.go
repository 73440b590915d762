package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness/host"
	"github.com/etcd-drill/etcd-drill/internal/bench"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// The exit codes; they are part of the interface.
const (
	exitIntact      = 0
	exitDamaged     = 1 // or a target missed
	exitCannotRun   = 2
	exitUsage       = 64 // EX_USAGE of sysexits.h
	exitInterrupted = 130
)

// usageError marks what the user typed wrong.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usage(err error) error { return usageError{err} }

// verdictError carries a verdict to the exit code; it was printed as a report already.
type verdictError struct{ outcome verify.Outcome }

func (v verdictError) Error() string { return string(v.outcome) }

// verdictOf returns nil for an intact drill.
func verdictOf(outcome verify.Outcome) error {
	if outcome == verify.Intact {
		return nil
	}
	return verdictError{outcome}
}

// resultError carries a result to the exit code; it was printed as a report already.
type resultError struct{ result report.Result }

func (r resultError) Error() string { return string(r.result) }

// resultOf returns nil for drills that passed.
func resultOf(result report.Result) error {
	if result == report.Passed {
		return nil
	}
	return resultError{result}
}

// saidAlready tells whether all that the error says was printed as a report.
func saidAlready(err error) bool {
	return errors.As(err, new(verdictError)) || errors.As(err, new(resultError)) || errors.As(err, new(judgementError))
}

func exitCode(ctx context.Context, err error) int {
	var verdict verdictError
	var result resultError
	var judgement judgementError
	switch {
	case errors.Is(context.Cause(ctx), errInterrupted):
		return exitInterrupted
	case err == nil:
		return exitIntact
	case errors.As(err, new(usageError)), errors.Is(err, drill.ErrUsage), errors.Is(err, drill.ErrNotEmpty),
		errors.Is(err, host.ErrChoice), isCobraUsage(err):
		return exitUsage
	case recovery.ProvedBad(err): // before the verdict: such a drill was not judged, which counts as inconclusive
		return exitDamaged
	case errors.Is(err, errUnsound):
		return exitDamaged
	case errors.As(err, &result) && result.result == report.Failed:
		return exitDamaged
	case errors.As(err, &verdict) && verdict.outcome == verify.Damaged:
		return exitDamaged
	case errors.As(err, &judgement) && judgement.judgement == bench.Worse:
		return exitDamaged
	}
	return exitCannotRun
}

// isCobraUsage recognises a wrong argument of a command that cobra itself made, such as completion: cobra (args.go, NoArgs)
// gives it no type.
func isCobraUsage(err error) bool { return strings.HasPrefix(err.Error(), "unknown command ") }

// noCommand refuses what is left of the arguments when no command was found in them.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see " + cmd.CommandPath() + " --help"
	cmd.SuggestionsMinimumDistance = 2 // as cobra itself sets it where it suggests
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "? " + hint
	}
	return usage(fmt.Errorf("unknown command %q; %s", args[0], hint))
}

// noArgs and oneArg are cobra's, as usage errors.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(fmt.Errorf("%s takes no arguments, got %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath()))
	}
	return nil
}

func oneArg(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage(fmt.Errorf("%s takes one argument, got %d; see %s --help", cmd.CommandPath(), len(args), cmd.CommandPath()))
	}
	return nil
}
