package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/bench/measure"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/load"
)

// rateReads rates data sets of growing size, and tells how the time per key grows.
func rateReads(ctx context.Context, o options) error {
	fmt.Fprintf(os.Stdout, "%10s %-6s %14s %14s %8s %14s\n", "keys", "pair", "drill, ns/key", "bare, ns/key", "ratio", "hash, ns/key")
	var perKey []float64
	for _, keys := range o.sizes {
		ours, err := rateReading(ctx, o, keys)
		if err != nil {
			return fmt.Errorf("%d keys: %w", keys, err)
		}
		perKey = append(perKey, ours)
	}
	if least := slices.Min(perKey); len(perKey) > 1 {
		most := slices.Max(perKey)
		fmt.Fprintf(os.Stdout, "time per key: %.0f to %.0f ns, %.2f times the least\n", least, most, most/least)
	}
	return nil
}

// rateReading rates one data set, and returns the nanoseconds that the drill takes for a key.
func rateReading(ctx context.Context, o options, keys int64) (ours float64, err error) {
	w, err := openWorld(ctx, o)
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	if err != nil {
		return 0, err
	}
	r, err := w.restore(ctx, keys, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.client.Close()) }()
	if _, _, err := r.drill(ctx); err != nil { // fills caches, and does not count
		return 0, err
	}
	var took, ratios []float64
	for i := range o.pairs {
		var drill, bare, hash time.Duration
		steps := []func() error{
			func() (err error) { drill, hash, err = r.drill(ctx); return err },
			func() (err error) { bare, err = r.bare(ctx); return err },
		}
		if i%2 == 1 {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			if err := step(); err != nil {
				return 0, err
			}
		}
		per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(r.keys) }
		took, ratios = append(took, per(drill)), append(ratios, per(bare)/per(drill))
		fmt.Fprintf(os.Stdout, "%10d %-6d %14.0f %14.0f %8.3f %14.0f\n",
			r.keys, i+1, per(drill), per(bare), per(bare)/per(drill), per(hash))
	}
	fmt.Fprintf(os.Stdout, "%d keys: rate of drill/bare: median %s; median of drill %.0f ns/key\n",
		r.keys, measure.Spread("%.3f", ratios, "pairs"), measure.Median(took))
	return measure.Median(took), nil
}

// reading is a member that was restored from a data set.
type reading struct {
	dir    string
	client *clientv3.Client
	keys   int64
	at     int64
	page   int64  // how many keys the bare client asks for at a time
	source string // the keyspace of the data set, read offline
}

// digestKey keys the digests of both sides of the comparison.
func digestKey() []byte { return []byte("rates") }

// drill reads the keyspace back as a drill does, writes it down, and holds it against that of the source. The HashKV, which a drill
// asks for as well, is timed apart: etcd computes it.
func (r *reading) drill(ctx context.Context) (took, hash time.Duration, err error) {
	path := filepath.Join(r.dir, "keyspace.jsonl")
	file, err := os.Create(path)
	if err != nil {
		return 0, 0, err
	}
	lines, begin, kept, last := ledger.NewLineWriter[ledger.Pair](file), time.Now(), int64(0), time.Time{}
	back, err := load.ReadBack(ctx, r.client, load.ReadSpec{Revision: r.at, DigestKey: digestKey(), Keyspace: func(p ledger.Pair) error {
		if kept++; kept == r.keys {
			last = time.Now()
		}
		return lines.Append(p)
	}})
	hash = time.Since(last)
	err = errors.Join(err, lines.End(), file.Close())
	if err == nil && back.Keys != r.keys {
		err = fmt.Errorf("%d keys came back of %d", back.Keys, r.keys)
	}
	if err != nil {
		return 0, 0, err
	}
	alike, err := ledger.Alike(opener(path), opener(r.source))
	if err == nil && !alike {
		err = errors.New("the member does not show what the source holds")
	}
	return time.Since(begin) - hash, hash, err
}

func opener(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(path) }
}

// bare reads page by page, each from where the last one ended, and looks at nothing.
func (r *reading) bare(ctx context.Context) (time.Duration, error) {
	begin, came := time.Now(), int64(0)
	for from := "\x00"; ; {
		resp, err := r.client.Get(ctx, from, clientv3.WithFromKey(), clientv3.WithSerializable(), clientv3.WithRev(r.at),
			clientv3.WithLimit(r.page))
		if err != nil {
			return 0, err
		}
		came += int64(len(resp.Kvs))
		if !resp.More {
			break
		}
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
	if came != r.keys {
		return 0, fmt.Errorf("%d keys came to the bare client of %d", came, r.keys)
	}
	return time.Since(begin), nil
}
