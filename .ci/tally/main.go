// Command tally keeps test runs talkative and counts what they really did.
//
//	tally follow FILE           reads `go test -json` from stdin, shows it to a person, keeps it in FILE
//	tally beat NAME COMMAND…    runs a command and says so whenever it was silent for two seconds
//	tally sum [-need LABEL] [-on RUNTIME,…] DIR counts DIR/*.jsonl (go test) and DIR/*.json (Ginkgo), and names what skipped itself; fails if
//	                            anything failed, if nothing ran, if no spec with the label ran, or no suite on a runtime
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	err := run(os.Args[1:])
	if err == nil {
		return
	}
	if !errors.Is(err, errSaid) {
		fmt.Fprintln(os.Stderr, "tally:", err)
	}
	os.Exit(1)
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "follow":
		return followTo(args[1])
	case len(args) >= 3 && args[0] == "beat":
		return beat(args[1], args[2:])
	case len(args) >= 2 && args[0] == "sum":
		return sum(args[1:])
	default:
		return errors.New("usage: follow FILE | beat NAME COMMAND… | sum [-need LABEL] [-on RUNTIME,…] DIR")
	}
}

func followTo(path string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	pulse := startPulse("tests", os.Stdout)
	defer pulse.stop()
	return follow(io.TeeReader(os.Stdin, file), pulse)
}

// beat runs the command. An interrupt reaches the command by itself, with the whole foreground group; it is caught here so
// that the command can clean up and its end be awaited. A SIGTERM may be meant for this process alone and is passed on.
func beat(name string, command []string) error {
	pulse := startPulse(name, os.Stdout)
	defer pulse.stop()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdout, cmd.Stderr = pulse, pulse
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func sum(args []string) error {
	flags := flag.NewFlagSet("sum", flag.ContinueOnError)
	need := flags.String("need", "", "fail unless a spec with this label ran")
	on := flags.String("on", "", "fail unless a suite ran on each of these runtimes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("sum takes one directory")
	}
	total, err := countDir(flags.Arg(0))
	if err != nil {
		return err
	}
	if *need != "" {
		fmt.Fprintf(os.Stdout, "%d specs labelled %q ran\n", total.labels[*need], *need)
	}
	for _, where := range total.ran {
		fmt.Fprintf(os.Stdout, "ran %s\n", where)
	}
	for _, reason := range total.skipped {
		fmt.Fprintf(os.Stdout, "skipped %s\n", strings.ReplaceAll(reason, "\n", " "))
	}
	// The counts are the last line of a run, so what is wrong with them is said before.
	objection := total.object(*need, strings.FieldsFunc(*on, func(r rune) bool { return r == ',' }))
	if objection != nil {
		fmt.Fprintf(os.Stdout, "not passed: %v\n", objection)
	}
	fmt.Fprintf(os.Stdout, "%d passed, %d failed\n", total.passed, total.failed)
	if objection != nil {
		return errSaid
	}
	return nil
}

// errSaid ends the program without another word.
var errSaid = errors.New("the counts are not those of a passed run")

// object says why the counts are not those of a run that passed.
func (t tally) object(need string, on []string) error {
	for _, runtime := range on {
		if !slices.ContainsFunc(t.ran, func(ran string) bool { return strings.HasSuffix(ran, " on "+runtime) }) {
			return fmt.Errorf("no suite ran on the runtime %s", runtime)
		}
	}
	switch {
	case t.failed > 0:
		return errors.New("there are failures")
	case t.passed == 0:
		return errors.New("nothing ran")
	case need != "" && t.labels[need] == 0:
		return fmt.Errorf("no spec with the label %q ran", need)
	}
	return nil
}

// silence is how long nobody has to wait for a sign of life.
const silence = 2 * time.Second
