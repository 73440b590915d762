// Command pairs times a drill beside the recovery page typed by hand, in turns, and prints the ratios pair by pair.
//
// Two stretches are compared. "recovery" runs from the start of the snapshot's saving to the first acknowledged write on
// the new cluster, against the runbook's steps from "snapshot save" to "restored cluster up". "total" is everything from the
// start of the program to the verdict, without the cleanup and without the two windows in which a drill only watches (the
// outage and the fence; their lengths are printed), against the runbook's TOTAL.
//
// Usage: pairs -drill build/etcd-drill -load build/load [-runbook bench/runbook.sh] [-image …] [-pairs 10]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
)

type options struct {
	drill, runbook, load, image string
	pairs, keys                 int
}

func main() {
	var o options
	flag.StringVar(&o.drill, "drill", "build/etcd-drill", "the program to time")
	flag.StringVar(&o.runbook, "runbook", "bench/runbook.sh", "the script to time it beside")
	flag.StringVar(&o.load, "load", "build/load", "the load program of the script")
	flag.StringVar(&o.image, "image", "etcd-drill/etcd:3.7.3", "the image that both run; it has /etcd, /etcdctl and /etcdutl")
	flag.IntVar(&o.pairs, "pairs", 10, "how many pairs count; one more runs first and does not")
	flag.IntVar(&o.keys, "keys", 10000, "keys of 256 bytes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "pairs:", err)
		os.Exit(1)
	}
}

// pair is one drill and one runbook, timed one after the other.
type pair struct {
	drill   drillTimes
	runbook runbookTimes
}

func run(ctx context.Context, o options) error {
	if o.pairs < 1 {
		return errors.New("at least one pair is needed")
	}
	fmt.Fprintf(os.Stdout, "%-6s %22s %22s %20s\n", "pair", "recovery drill/hand", "total drill/hand", "windows outage/fence")
	var recovery, total []float64
	for i := range o.pairs + 1 {
		p, err := timePair(ctx, o, i%2 == 0)
		if err != nil {
			return fmt.Errorf("pair %d: %w", i, err)
		}
		name := fmt.Sprint(i)
		if i == 0 {
			name = "warm"
		} else {
			recovery = append(recovery, p.drill.recovery/p.runbook.recovery)
			total = append(total, p.drill.total/p.runbook.total)
		}
		fmt.Fprintf(os.Stdout, "%-6s %6.2f /%6.2f = %5.2f %6.2f /%6.2f = %5.2f %9.2f /%5.2f s\n", name,
			p.drill.recovery, p.runbook.recovery, p.drill.recovery/p.runbook.recovery,
			p.drill.total, p.runbook.total, p.drill.total/p.runbook.total, p.drill.outageWindow, p.drill.fenceWindow)
	}
	fmt.Fprintf(os.Stdout, "recovery ratio: median %s\n", spread(recovery))
	fmt.Fprintf(os.Stdout, "total ratio:    median %s\n", spread(total))
	return nil
}

// timePair alternates who goes first, so that a drift of the machine's speed falls on both.
func timePair(ctx context.Context, o options, drillFirst bool) (p pair, err error) {
	steps := []func() error{
		func() (err error) { p.drill, err = timeDrill(ctx, o); return err },
		func() (err error) { p.runbook, err = timeRunbook(ctx, o); return err },
	}
	if !drillFirst {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return p, err
		}
	}
	return p, nil
}

func spread(values []float64) string {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	median := sorted[n/2]
	if n%2 == 0 {
		median = (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f, %d pairs)", median, sorted[0], sorted[n-1], n)
}
