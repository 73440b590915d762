package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/await"
	"golang.org/x/sys/unix"
)

var errHeld = errors.New("held by somebody else")

// Lock waits until it holds the lock of this file, which it makes if it is missing, and returns what gives it back. It
// excludes other processes as well as other goroutines. The file stays: removing it would let two holders in, one on the
// removed file and one on its successor. The lock of a dead process is free.
func Lock(ctx context.Context, path string, progress func(string)) (unlock func() error, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	take := func(context.Context) error {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EWOULDBLOCK):
			return errHeld
		case errors.Is(err, unix.EINTR):
			return err
		case err != nil:
			return await.Hopeless(err)
		}
		return nil
	}
	if take(ctx) == nil {
		return file.Close, nil
	}
	stop := Tick(progress, func(waited time.Duration) string {
		return fmt.Sprintf("waiting for another run that holds %s, %s", path, waited)
	})
	defer stop()
	if err := await.Until(ctx, await.Condition{Name: "the lock " + path, Every: 100 * time.Millisecond}, take); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file.Close, nil // which gives the lock back
}
