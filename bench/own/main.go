// Command own times the drill of a backup beside restoring and starting it by hand, in turns, and prints the ratios round by
// round, and how much memory the drill took.
//
// By hand means what a person does with the released programs: one etcdutl snapshot restore for every member, all at once, then
// one etcd for every member, then waiting until each answers a linearizable read. It runs from the first etcdutl to the last
// answer. The drill runs from the start of the program to the verdict, which is before it cleans up. Both work in the same folder,
// on the same file, with the same etcd, on plain processes.
//
// Memory is RssAnon, summed over the drill's program and all its children but the etcd members, sampled many times a second:
// mapped pages of files are not in it. Of etcd members it is printed beside that.
//
// Usage: own -drill build/etcd-drill [-dir /dev/shm] [-mib 1500] [-value 6000] [-members 3] [-rounds 5] [-read one,all] [-no-hand]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/etcd-drill/etcd-drill/bench/measure"
	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/etcd-drill/etcd-drill/recovery/dataset"
)

type options struct {
	drill, dir, reads            string
	mib                          int64
	value, members, rounds, warm int
	noHand                       bool
}

func main() {
	var o options
	flag.StringVar(&o.drill, "drill", "build/etcd-drill", "the program to time")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "where both work; on tmpfs it tells nothing about a disk")
	flag.Int64Var(&o.mib, "mib", 1500, "size of the snapshot in MiB")
	flag.IntVar(&o.value, "value", 6000, "bytes of a value")
	flag.IntVar(&o.members, "members", 3, "how many members are restored")
	flag.IntVar(&o.rounds, "rounds", 5, "how many rounds count")
	flag.IntVar(&o.warm, "warm-up", 1, "how many rounds come first and do not count")
	flag.StringVar(&o.reads, "read", "one,all", "how much is read, a drill each")
	flag.BoolVar(&o.noHand, "no-hand", false, "only the drills, for their memory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "own:", err)
		os.Exit(1)
	}
}

// figures are what one of those who take turns yields.
type figures struct {
	seconds  float64
	laps     []lap
	anonMiB  float64 // of the drill without members; 0 by hand
	etcdMiB  float64 // of the members
	programs string  // what took most of anonMiB
}

// lap is a part of the time.
type lap struct {
	name    string
	seconds float64
}

// side is one of those who take turns.
type side struct {
	name string
	run  func(context.Context, race) (figures, error)
}

// race is what all sides start from.
type race struct {
	options
	etcd release.Binaries
	set  dataset.Set
}

func run(ctx context.Context, o options) (err error) {
	if o.rounds < 1 || o.members < 1 {
		return errors.New("at least one round and one member are needed")
	}
	r, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	var sides []side
	if !o.noHand {
		sides = append(sides, side{"hand", byHand})
	}
	for _, read := range strings.Split(o.reads, ",") {
		sides = append(sides, side{"read " + read, func(ctx context.Context, r race) (figures, error) { return timeDrill(ctx, r, read) }})
	}
	fmt.Fprintf(os.Stdout, "snapshot of %d MiB, %d keys; %d members; etcd %s; in %s\n",
		r.set.SizeBytes>>20, r.set.Keys, o.members, r.etcd.Version, o.dir)
	all := map[string][]figures{}
	for round := range o.warm + o.rounds {
		for i := range sides {
			s := sides[(i+round)%len(sides)] // who goes first changes
			if err := settleDisk(o.dir); err != nil {
				return err
			}
			got, err := s.run(ctx, r)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			name := fmt.Sprint(round - o.warm + 1)
			if round < o.warm {
				name = "warm"
			} else {
				all[s.name] = append(all[s.name], got)
			}
			fmt.Fprintln(os.Stdout, got.line(name, s.name))
		}
	}
	summarize(sides, all)
	return nil
}

// prepare makes the programs and the data set, which are kept in the cache.
func prepare(ctx context.Context, o options) (race, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return race{}, err
	}
	cache := filepath.Join(user, "etcd-drill")
	tell := func(line string) { fmt.Fprintln(os.Stderr, line) }
	r := race{options: o}
	if r.etcd, err = release.Build(ctx, release.Request{CacheDir: cache, Progress: tell}); err != nil {
		return race{}, err
	}
	r.set, err = dataset.Cache{Dir: dataset.In(cache), Progress: tell}.Get(ctx,
		dataset.Spec{SizeBytes: o.mib << 20, ValueBytes: o.value, Revisions: 1, Seed: 1}, dataset.Snapshot)
	if err != nil {
		return race{}, err
	}
	return r, nil
}

func (f figures) line(round, side string) string {
	text := fmt.Sprintf("%-5s %-9s %7.2f s ", round, side, f.seconds)
	for _, l := range f.laps {
		text += fmt.Sprintf(" %s %.2f", l.name, l.seconds)
	}
	if f.anonMiB > 0 {
		text += fmt.Sprintf("; own memory %.0f MiB (%s), members %.0f MiB", f.anonMiB, f.programs, f.etcdMiB)
	}
	return text
}

// summarize prints the ratios of each round and what they come to.
func summarize(sides []side, all map[string][]figures) {
	for _, s := range sides {
		if s.name == "hand" {
			continue
		}
		var ratios, anon []float64
		for i, f := range all[s.name] {
			anon = append(anon, f.anonMiB)
			if hand := all["hand"]; hand != nil {
				ratios = append(ratios, f.seconds/hand[i].seconds)
			}
		}
		if len(ratios) > 0 {
			fmt.Fprintf(os.Stdout, "%-9s / hand: median %s\n", s.name, measure.Spread("%.2f", ratios, "rounds"))
		}
		fmt.Fprintf(os.Stdout, "%-9s own memory, MiB: median %s\n", s.name, measure.Spread("%.0f", anon, "rounds"))
	}
}
