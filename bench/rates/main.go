// Command rates sets what a drill does at a high rate beside a bare client that does the same to the same cluster, in turns, and
// prints the ratios.
//
// "rates write" fills a cluster by the drill's load, ledger included, and by a loop of puts over as many connections by as many
// goroutines. "rates read" reads a restored data set back from a member, writes it down as evidence and compares it with the
// source, and reads it beside that page by page to throw it away.
//
// Members are plain processes. What they and the drill write lies in -dir.
//
// Usage: rates write [-members 3] [-keys 20000] [-value-size 256] [-workers 64] [-pairs 10] [-dir DIR]
//
//	rates read [-sizes 10000,100000,1000000] [-value-size 64] [-page 1000] [-pairs 10] [-dir DIR]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// asWorker is how this program starts itself to open data sets.
const asWorker = "worker"

type options struct {
	dir                                       string
	members, keys, valueBytes, workers, pairs int
	sizes                                     sizes
	page                                      int64
	deadline                                  time.Duration
}

// sizes are numbers of keys.
type sizes []int64

// String implements flag.Value.
func (s *sizes) String() string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint([]int64(*s))), ","), "[]")
}

// Set implements flag.Value.
func (s *sizes) Set(text string) error {
	*s = nil
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no number of keys", part)
		}
		*s = append(*s, n)
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "rates:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say what to rate: write or read")
	}
	flags := flag.NewFlagSet("rates "+args[0], flag.ContinueOnError)
	o := options{sizes: sizes{10_000, 100_000, 1_000_000}}
	flags.StringVar(&o.dir, "dir", "/dev/shm", "where members and evidence are kept while it runs")
	flags.IntVar(&o.pairs, "pairs", 10, "how many pairs count; one more runs first and does not")
	switch args[0] {
	case asWorker:
		return offline.Serve(ctx, os.Stdin, os.Stdout, os.Stderr)
	case "write":
		flags.IntVar(&o.members, "members", 3, "size of the cluster")
		flags.IntVar(&o.keys, "keys", 20_000, "puts of each side")
		flags.IntVar(&o.valueBytes, "value-size", 256, "bytes of a value")
		flags.DurationVar(&o.deadline, "deadline", 0, "of every put of the bare client; none if 0, the load's are a second")
		flags.IntVar(&o.workers, "workers", 64, "concurrent writers")
	case "read":
		o.members = 1
		flags.Var(&o.sizes, "sizes", "numbers of keys")
		flags.Int64Var(&o.page, "page", 1000, "keys that the bare client asks for at a time")
		flags.IntVar(&o.valueBytes, "value-size", 64, "bytes of a value")
	default:
		return fmt.Errorf("%q cannot be rated: write or read can", args[0])
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if o.pairs < 1 {
		return errors.New("at least one pair is needed")
	}
	if args[0] == "read" {
		return rateReads(ctx, o)
	}
	return rateWrites(ctx, o)
}
