// Command load is the load of bench/runbook.sh: one put per key, random values, 64 writers at once.
//
// Usage: load ENDPOINT KEYS VALUE_BYTES
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"
)

const writers = 64

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: load ENDPOINT KEYS VALUE_BYTES, got %d arguments", len(args))
	}
	keys, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("read KEYS: %w", err)
	}
	size, err := strconv.Atoi(args[2])
	if err != nil {
		return fmt.Errorf("read VALUE_BYTES: %w", err)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{args[0]}})
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer client.Close() //nolint:errcheck // every put was acknowledged by then
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(writers)
	for i := range keys {
		work.Go(func() error {
			value := make([]byte, size)
			rand.Read(value) // never fails: crypto/rand ends the program instead
			_, err := client.Put(ctx, fmt.Sprintf("/k/%09d", i), string(value))
			return err
		})
	}
	return work.Wait()
}
