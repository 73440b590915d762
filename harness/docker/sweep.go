package docker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/etcd-drill/etcd-drill/internal/await"
)

// extent says what a removal covers.
type extent int

const (
	everything extent = iota
	allButVolumes
)

// remove removes what carries the run's label and returns how many things are gone. It goes over all of it until nothing is
// left, because the engine refuses for a moment what somebody else is just removing, and networks whose last container is
// on its way out.
func (r *Runtime) remove(ctx context.Context, runID string, what extent) (int, error) {
	var removed atomic.Int64
	found := client.Filters{}.Add("label", labelRun+"="+runID)
	condition := await.Condition{Name: "the removal of run " + runID, Every: 100 * time.Millisecond, Within: 30 * time.Second}
	err := await.Until(ctx, condition, func(ctx context.Context) error {
		var errs []error
		for _, sweep := range r.sweeps(found, what) {
			errs = append(errs, sweep.all(ctx, &removed))
		}
		err := errors.Join(errs...)
		if client.IsErrConnectionFailed(err) {
			return await.Hopeless(err)
		}
		return err
	})
	return int(removed.Load()), err
}

// Left names what still carries the run's label, as "kind id".
func (r *Runtime) Left(ctx context.Context, runID string) ([]string, error) {
	found := client.Filters{}.Add("label", labelRun+"="+runID)
	var left []string
	for _, sweep := range r.sweeps(found, everything) {
		ids, err := sweep.list(ctx)
		if err != nil {
			return nil, fmt.Errorf("list %ss of run %s: %w", sweep.kind, runID, err)
		}
		for _, id := range ids {
			left = append(left, sweep.kind+" "+id)
		}
	}
	return left, nil
}

// sweep lists and removes the things of one kind.
type sweep struct {
	kind   string
	list   func(ctx context.Context) ([]string, error)
	remove func(ctx context.Context, id string) error
}

// all removes in parallel. What is gone already is no error.
func (s sweep) all(ctx context.Context, removed *atomic.Int64) error {
	ids, err := s.list(ctx)
	if err != nil {
		return fmt.Errorf("list %ss: %w", s.kind, err)
	}
	errs := make([]error, len(ids))
	var work sync.WaitGroup
	for i, id := range ids {
		work.Go(func() {
			switch err := s.remove(ctx, id); {
			case err == nil:
				removed.Add(1)
			case !errdefs.IsNotFound(err):
				errs[i] = fmt.Errorf("remove %s %s: %w", s.kind, id, err)
			}
		})
	}
	work.Wait()
	return errors.Join(errs...)
}

// sweeps returns the kinds in the order in which they can be removed.
func (r *Runtime) sweeps(found client.Filters, what extent) []sweep {
	sweeps := []sweep{r.containers(found), r.networks(found)}
	if what == everything {
		sweeps = append(sweeps, r.volumes(found))
	}
	return sweeps
}

func (r *Runtime) containers(found client.Filters) sweep {
	return sweep{
		kind: "container",
		list: func(ctx context.Context) (ids []string, err error) {
			listed, err := r.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: found})
			for _, item := range listed.Items {
				ids = append(ids, item.ID)
			}
			return ids, err
		},
		remove: func(ctx context.Context, id string) error {
			_, err := r.engine.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			return err
		},
	}
}

func (r *Runtime) networks(found client.Filters) sweep {
	return sweep{
		kind: "network",
		list: func(ctx context.Context) (ids []string, err error) {
			listed, err := r.engine.NetworkList(ctx, client.NetworkListOptions{Filters: found})
			for _, item := range listed.Items {
				ids = append(ids, item.ID)
			}
			return ids, err
		},
		remove: func(ctx context.Context, id string) error {
			_, err := r.engine.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
			return err
		},
	}
}

func (r *Runtime) volumes(found client.Filters) sweep {
	return sweep{
		kind: "volume",
		list: func(ctx context.Context) (names []string, err error) {
			listed, err := r.engine.VolumeList(ctx, client.VolumeListOptions{Filters: found})
			for _, item := range listed.Items {
				names = append(names, item.Name)
			}
			return names, err
		},
		remove: func(ctx context.Context, name string) error {
			_, err := r.engine.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
			return err
		},
	}
}
