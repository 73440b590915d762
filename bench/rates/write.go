package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/etcd-drill/etcd-drill/bench/measure"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/load"
)

// rateWrites takes turns on one cluster, which grows for both alike.
func rateWrites(ctx context.Context, o options) (err error) {
	w, err := openWorld(ctx, o)
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	if err != nil {
		return err
	}
	cluster, err := w.Start(ctx)
	if err != nil {
		return err
	}
	bare, err := dialBare(ctx, cluster, o)
	defer func() { err = errors.Join(err, bare.close()) }()
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "%d members, %d writers, %d puts of %d bytes a side\n", o.members, o.workers, o.keys, o.valueBytes)
	fmt.Fprintf(os.Stdout, "%-6s %10s %10s %8s %14s %14s\n",
		"pair", "load, 1/s", "bare, 1/s", "ratio", "load, cpu µs", "bare, cpu µs")
	var ratios, more []float64
	per := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(o.keys) }
	for i := range o.pairs + 1 {
		var ours, theirs float64
		var ourCPU, theirCPU time.Duration
		steps := []func() error{
			func() error {
				return spent(&ourCPU, func() (err error) { ours, err = w.rateLoad(ctx, cluster, o, i); return err })
			},
			func() error {
				return spent(&theirCPU, func() (err error) { theirs, err = bare.rate(ctx, o, i); return err })
			},
		}
		if i%2 == 1 {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			if err := step(); err != nil {
				return err
			}
		}
		name := fmt.Sprint(i)
		if i == 0 {
			name = "warm"
		} else {
			ratios = append(ratios, ours/theirs)
			more = append(more, per(ourCPU)-per(theirCPU))
		}
		fmt.Fprintf(os.Stdout, "%-6s %10.0f %10.0f %8.3f %14.1f %14.1f\n", name, ours, theirs, ours/theirs, per(ourCPU), per(theirCPU))
	}
	fmt.Fprintf(os.Stdout, "rate of load/bare: median %s\nprocessor time of a put, more than bare, µs: median %s\n",
		measure.Spread("%.3f", ratios, "pairs"), measure.Spread("%.3f", more, "pairs"))
	return nil
}

// spent measures the processor time of this process, without its children, which are the members.
func spent(cpu *time.Duration, do func() error) error {
	used := func() (time.Duration, error) {
		var usage unix.Rusage
		err := unix.Getrusage(unix.RUSAGE_SELF, &usage)
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), err
	}
	before, err := used()
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	after, err := used()
	*cpu = after - before
	return err
}

// rateLoad is the rate of the drill's load up to the last write that was asked for. What is still in flight then is not counted.
func (w *world) rateLoad(ctx context.Context, cluster *harness.Cluster, o options, round int) (rate float64, err error) {
	file, err := os.Create(filepath.Join(w.dir, "ledger"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	var targets []load.Target
	for _, m := range cluster.Members() {
		targets = append(targets, m)
	}
	start := time.Now()
	l, err := load.Start(ctx, load.Options{
		Targets: targets, Access: cluster.Access(), Ledger: ledger.NewWriter(file), Profile: load.Puts, Keys: o.keys,
		ValueBytes: o.valueBytes, Workers: o.workers, Seed: uint64(round), DigestKey: []byte("rates"),
	})
	if err != nil {
		return 0, err
	}
	err = l.AwaitFilled(ctx)
	took := time.Since(start)
	tally, stopErr := l.Stop(ctx)
	if err := errors.Join(err, stopErr); err != nil {
		return 0, err
	}
	if tally.Refused+tally.Unknown > int64(o.workers) { // those in flight at the end may be cut off
		return 0, fmt.Errorf("the load met %d refusals and %d unknown outcomes; only a clean run is worth rating",
			tally.Refused, tally.Unknown)
	}
	return float64(o.keys) / took.Seconds(), nil
}

// bareClients are as many connections, to the same members, as the load makes.
type bareClients []*clientv3.Client

// workersPerClient is how many writers share a connection, as those of the load do.
const workersPerClient = 8

func dialBare(ctx context.Context, cluster *harness.Cluster, o options) (clients bareClients, err error) {
	members := cluster.Members()
	for i := range (o.workers + workersPerClient - 1) / workersPerClient {
		client, err := members[i%len(members)].DialAny(ctx)
		if err != nil {
			return clients, err
		}
		clients = append(clients, client)
	}
	return clients, nil
}

func (b bareClients) close() error {
	var failures []error
	for _, client := range b {
		failures = append(failures, client.Close())
	}
	return errors.Join(failures...)
}

// rate is that of a loop that puts random values, under the same keys in every round as the load does, and looks at nothing but the
// error.
func (b bareClients) rate(ctx context.Context, o options, round int) (float64, error) {
	var next atomic.Int64
	start := time.Now()
	work, ctx := errgroup.WithContext(ctx)
	for i := range o.workers {
		client, random := b[i/workersPerClient], rand.New(rand.NewPCG(uint64(round), uint64(i)))
		work.Go(func() error {
			value := make([]byte, o.valueBytes+8)
			for {
				n := next.Add(1)
				if n > int64(o.keys) {
					return nil
				}
				for at := 0; at < o.valueBytes; at += 8 {
					binary.LittleEndian.PutUint64(value[at:], random.Uint64())
				}
				ctx, cancel := ctx, func() {}
				if o.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, o.deadline)
				}
				_, err := client.Put(ctx, fmt.Sprintf("/bare/k%08d", n), string(value[:o.valueBytes]))
				cancel()
				if err != nil {
					return err
				}
			}
		})
	}
	err := work.Wait()
	return float64(o.keys) / time.Since(start).Seconds(), err
}
