// Command memory runs a program once for every size and prints the most memory that it and its children took at one time.
//
// Memory is RssAnon: mapped pages of files, which the kernel takes back when it wants, are not in it. Processes of a name that
// begins with "etcd-drill-" are members and counted apart, as is every program called etcd: their memory holds the index of all
// keys, and is etcd's.
//
// Usage: memory [-sizes 16MiB,256MiB,1GiB] PROGRAM ARGUMENT...
//
// {} in an argument becomes the size.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/bench/measure"
)

func main() {
	sizes := flag.String("sizes", "16MiB,256MiB,1GiB", "what {} becomes, in turn")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, strings.Split(*sizes, ","), flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, sizes, command []string) error {
	if len(command) == 0 {
		return errors.New("name a program to run")
	}
	fmt.Fprintf(os.Stdout, "%-8s %8s %22s %22s %14s\n", "size", "seconds", "harness, MiB RssAnon", "of it the program", "members, MiB")
	var peaks []float64
	for _, size := range sizes {
		begin := time.Now()
		peak, err := peakOf(ctx, size, command)
		if err != nil {
			return fmt.Errorf("size %s: %w", size, err)
		}
		fmt.Fprintf(os.Stdout, "%-8s %8.1f %22.1f %22.1f %14.1f\n",
			size, time.Since(begin).Seconds(), mib(peak.OwnKiB), mib(peak.ProgramKiB), mib(peak.MembersKiB))
		peaks = append(peaks, mib(peak.OwnKiB))
	}
	least, most := slices.Min(peaks), slices.Max(peaks)
	fmt.Fprintf(os.Stdout, "harness and its workers: %.1f to %.1f MiB, %.2f times the least\n", least, most, most/least)
	return nil
}

// peakOf runs the program and samples it until it ends.
func peakOf(ctx context.Context, size string, command []string) (peak measure.Usage, err error) {
	args := make([]string, 0, len(command))
	for _, arg := range command {
		args = append(args, strings.ReplaceAll(arg, "{}", size))
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it may have something to clean up
	cmd.WaitDelay = time.Minute
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return peak, err
	}
	memory := measure.Watch(cmd.Process.Pid)
	if err = cmd.Wait(); err != nil {
		err = fmt.Errorf("%w: %s", err, said.Bytes()[max(0, said.Len()-2000):])
	}
	return memory.Stop(), err
}

func mib(kib int64) float64 { return float64(kib) / 1024 }
