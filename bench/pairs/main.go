// Command pairs times a drill beside something else, in turns, and prints the ratios pair by pair.
//
// Beside the recovery page typed by hand, two stretches are compared. "recovery" runs from the start of the snapshot's saving
// to the first acknowledged write on the new cluster, against the runbook's steps from "snapshot save" to "restored cluster
// up". "total" is everything from the start of the program to the verdict, without the cleanup and without the two windows in
// which a drill only watches (the outage and the fence; their lengths are printed), against the runbook's TOTAL.
//
// With -runtimes the same drill on plain processes is timed beside one in containers: "recovery" as above, and "total" is all
// of the program, from its start to its end.
//
// Usage: pairs -drill build/etcd-drill -load build/load [-runbook bench/runbook.sh] [-image …] [-pairs 10]
//
//	pairs -drill build/etcd-drill -runtimes [-pairs 10]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"

	"github.com/etcd-drill/etcd-drill/bench/measure"
)

type options struct {
	drill, runbook, load, image string
	runtimes                    bool
	pairs, keys                 int
}

func main() {
	var o options
	flag.StringVar(&o.drill, "drill", "build/etcd-drill", "the program to time")
	flag.StringVar(&o.runbook, "runbook", "bench/runbook.sh", "the script to time it beside")
	flag.StringVar(&o.load, "load", "build/load", "the load program of the script")
	flag.StringVar(&o.image, "image", "etcd-drill/etcd:3.7.3", "the image that both run; it has /etcd, /etcdctl and /etcdutl")
	flag.BoolVar(&o.runtimes, "runtimes", false, "time a drill on processes beside one in containers instead")
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

// stretches are what is compared, in seconds, and what is said beside it.
type stretches struct {
	recovery, total float64
	note            string
}

// side is one of the two that take turns.
type side struct {
	name string
	time func(context.Context, options) (stretches, error)
}

func (o options) sides() (one, other side) {
	if o.runtimes {
		return onRuntime("process"), onRuntime("docker")
	}
	return side{"drill", timeDrillBesideHand}, side{"hand", timeRunbook}
}

func run(ctx context.Context, o options) error {
	if o.pairs < 1 {
		return errors.New("at least one pair is needed")
	}
	one, other := o.sides()
	names := one.name + "/" + other.name
	fmt.Fprintf(os.Stdout, "%-6s %24s %24s\n", "pair", "recovery "+names, "total "+names)
	var recovery, total []float64
	for i := range o.pairs + 1 {
		a, b, err := timePair(ctx, o, one, other, i%2 == 0)
		if err != nil {
			return fmt.Errorf("pair %d: %w", i, err)
		}
		name := fmt.Sprint(i)
		if i == 0 {
			name = "warm"
		} else {
			recovery = append(recovery, a.recovery/b.recovery)
			total = append(total, a.total/b.total)
		}
		fmt.Fprintf(os.Stdout, "%-6s %8.2f /%6.2f = %5.2f %8.2f /%6.2f = %5.2f  %s\n", name,
			a.recovery, b.recovery, a.recovery/b.recovery, a.total, b.total, a.total/b.total, a.note)
	}
	fmt.Fprintf(os.Stdout, "recovery ratio: median %s\n", measure.Spread("%.2f", recovery, "pairs"))
	fmt.Fprintf(os.Stdout, "total ratio:    median %s\n", measure.Spread("%.2f", total, "pairs"))
	return nil
}

// timePair alternates who goes first, so that a drift of the machine's speed falls on both.
func timePair(ctx context.Context, o options, one, other side, inOrder bool) (a, b stretches, err error) {
	steps := []func() error{
		func() (err error) { a, err = one.time(ctx, o); return err },
		func() (err error) { b, err = other.time(ctx, o); return err },
	}
	if !inOrder {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return a, b, err
		}
	}
	return a, b, nil
}
