// Command gate tries the gate of benchmarks: it measures the same thing twice, again and again, and counts what the gate tells of
// such pairs. None of them may be worse.
//
// Usage: gate -drill build/etcd-drill [-pairs 10] -- [flags of etcd-drill bench]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"

	"github.com/etcd-drill/etcd-drill/internal/bench"
)

type options struct {
	drill string
	pairs int
	flags []string
}

func main() {
	var o options
	flag.StringVar(&o.drill, "drill", "build/etcd-drill", "the program to try")
	flag.IntVar(&o.pairs, "pairs", 10, "how many pairs of runs are measured")
	flag.Parse()
	o.flags = flag.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "etcd-drill-gate-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	told := map[bench.Judgement]int{}
	for pair := range o.pairs {
		old, changed := filepath.Join(dir, fmt.Sprintf("%d-old.jsonl", pair)), filepath.Join(dir, fmt.Sprintf("%d-new.jsonl", pair))
		for _, store := range []string{old, changed} {
			args := append([]string{"bench", "--out", store}, o.flags...)
			if _, err := exec.CommandContext(ctx, o.drill, args...).Output(); err != nil {
				return fmt.Errorf("measure: %w", said(err))
			}
		}
		compared, err := compare(ctx, o.drill, old, changed)
		if err != nil {
			return err
		}
		for _, row := range compared.Rows {
			told[row.Judgement]++
			fmt.Fprintf(os.Stdout, "pair %2d  %-14s %s  %s\n", pair+1, row.Judgement, bench.Percent(row.Change), row.Name)
		}
	}
	for _, judgement := range slices.Sorted(maps.Keys(told)) {
		fmt.Fprintf(os.Stdout, "%-14s %d\n", judgement, told[judgement])
	}
	if told[bench.Worse] > 0 {
		return fmt.Errorf("of runs that do not differ the gate calls %d worse", told[bench.Worse])
	}
	return nil
}

// compare has the program compare two runs. Its exit code says what it told, which its answer says as well.
func compare(ctx context.Context, drill, old, changed string) (compared bench.Comparison, err error) {
	text, err := exec.CommandContext(ctx, drill, "bench", "compare", old, changed, "-w", "json").Output()
	if broken := json.Unmarshal(text, &compared); broken != nil {
		return compared, fmt.Errorf("compare: %w", errors.Join(said(err), broken))
	}
	return compared, nil
}

// said adds what a program wrote before it failed.
func said(err error) error {
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}
