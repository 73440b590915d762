package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// seat is where a member listens.
type seat struct{ name, peer, client string }

// byHand restores and starts the members as a person does who has the released programs.
func byHand(ctx context.Context, r race) (f figures, err error) {
	dir, err := os.MkdirTemp(r.dir, "own-hand-")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	seats, initial, err := takeSeats(ctx, r.members)
	if err != nil {
		return f, err
	}
	begin := time.Now()
	restoring, restoreCtx := errgroup.WithContext(ctx)
	for _, s := range seats {
		restoring.Go(func() error {
			return quietly(exec.CommandContext(restoreCtx, r.etcd.Etcdutl, "snapshot", "restore", r.set.Path, "--name", s.name,
				"--initial-cluster", initial, "--initial-cluster-token", "by-hand", "--initial-advertise-peer-urls", s.peer,
				"--data-dir", filepath.Join(dir, s.name)))
		})
	}
	if err := restoring.Wait(); err != nil {
		return f, fmt.Errorf("restore: %w", err)
	}
	restored := time.Now()
	members, stop := context.WithCancel(ctx)
	running, runCtx := errgroup.WithContext(members)
	for _, s := range seats {
		running.Go(func() error { return runMember(runCtx, r, s, dir, initial) })
	}
	err = healthy(runCtx, seats)
	done := time.Now()
	stop()
	if err := errors.Join(err, running.Wait()); err != nil {
		return f, fmt.Errorf("start: %w", err)
	}
	f.seconds = done.Sub(begin).Seconds()
	f.laps = []lap{{"restore", restored.Sub(begin).Seconds()}, {"start", done.Sub(restored).Seconds()}}
	return f, nil
}

// runMember runs an etcd until the context ends.
func runMember(ctx context.Context, r race, s seat, dir, initial string) error {
	err := quietly(exec.CommandContext(ctx, r.etcd.Etcd, "--name", s.name, "--data-dir", filepath.Join(dir, s.name),
		"--listen-client-urls", s.client, "--advertise-client-urls", s.client,
		"--listen-peer-urls", s.peer, "--initial-advertise-peer-urls", s.peer,
		"--initial-cluster", initial, "--initial-cluster-token", "by-hand",
		fmt.Sprintf("--quota-backend-bytes=%d", max(2<<30, 2*r.set.SizeBytes))))
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was ended, as it was to be
	}
	return fmt.Errorf("member %s ended: %w", s.name, err)
}

// healthy returns when every member answers a linearizable read, which is what etcdctl endpoint health asks for.
func healthy(ctx context.Context, seats []seat) error {
	asking, ctx := errgroup.WithContext(ctx)
	for _, s := range seats {
		asking.Go(func() (err error) {
			client, err := harness.Dial(s.client, harness.Access{}) // which tries again at once
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, client.Close()) }()
			return await.Until(ctx, await.Condition{Name: "health of " + s.name, Every: 20 * time.Millisecond, Within: 10 * time.Minute},
				func(ctx context.Context) error {
					ctx, cancel := context.WithTimeout(ctx, time.Second)
					defer cancel()
					_, err := client.Get(ctx, "health")
					return err
				})
		})
	}
	return asking.Wait()
}

func takeSeats(ctx context.Context, n int) (seats []seat, initialCluster string, err error) {
	var pairs []string
	for i := range n {
		s := seat{name: fmt.Sprint("m", i+1)}
		for _, url := range []*string{&s.peer, &s.client} {
			listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
			if err != nil {
				return nil, "", err
			}
			defer listener.Close() //nolint:errcheck // when all are known, so that none is given twice
			*url = "http://" + listener.Addr().String()
		}
		seats, pairs = append(seats, s), append(pairs, s.name+"="+s.peer)
	}
	return seats, strings.Join(pairs, ","), nil
}

// quietly runs a program and shows what it said only if it failed.
func quietly(cmd *exec.Cmd) error {
	said := &tail{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, said.text)
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

const tailBytes = 2000

// Write implements io.Writer.
func (t *tail) Write(data []byte) (int, error) {
	t.text = append(t.text, data...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(data), nil
}

// settleDisk waits until what was written before is on disk, so that it is in nobody's way.
func settleDisk(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(folder.Fd())), folder.Close())
}
