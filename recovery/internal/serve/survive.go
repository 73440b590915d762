package serve

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// errPanicked is what survive makes of a panic, and errFaulted beside it of one because memory is not there.
var (
	errPanicked = errors.New("panic")
	errFaulted  = errors.New("memory fault")
)

// survive runs what may panic on a damaged file, or touch memory that is not there, and turns that into an error. It
// protects the calling goroutine only.
func survive(touch func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%w: %v", errPanicked, reason)
			if _, fault := reason.(interface{ Addr() uintptr }); fault { // as SetPanicOnFault documents
				err = fmt.Errorf("%w: %w: %v", errPanicked, errFaulted, reason)
			}
		}
	}()
	return touch()
}

// caughtDeath makes of a panic that survive has caught what it would have been in any other goroutine. Other errors stay what
// they are.
func caughtDeath(verb string, err error) error {
	if !errors.Is(err, errPanicked) {
		return err
	}
	kind := recovery.DeathPanic
	if errors.Is(err, errFaulted) {
		kind = recovery.DeathFault
	}
	return &recovery.WorkerError{Verb: verb, Kind: kind, Last: []string{err.Error()}}
}
