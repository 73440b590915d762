package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// Sweeper removes what runs left behind. It touches nothing that does not carry the ID of the run that it cleans.
type Sweeper struct {
	// Runtimes are those that sweep, each the runs whose members it ran.
	Runtimes []harness.Runtime
	// Absent says, by its name, why a runtime is not among them. A dead run of an absent one is an error; one of a runtime that
	// is neither here nor there is passed over.
	Absent   map[string]error
	StateDir string
	// DryRun only counts what would be removed.
	DryRun bool
}

// Swept is what a run had left.
type Swept struct {
	RunID   string   `json:"run"`
	Runtime string   `json:"runtime,omitempty"` // empty if the run had no record
	Noted   []string `json:"noted"`             // what the run had noted, as "kind name"
	Removed int      `json:"removed"`           // how many things were removed, beside its work folder; 0 in a dry run
}

// Dead sweeps the dead runs of this user, those whose record is there and whose lock is free; only the one of this ID unless
// that is empty. A run that could not be swept completely keeps its record, and the error says why; the others are swept all
// the same.
func (s Sweeper) Dead(ctx context.Context, id string) ([]Swept, error) {
	dead, err := harness.DeadRuns(s.StateDir)
	if err != nil {
		return nil, err
	}
	var (
		swept    []Swept
		failures []error
	)
	for _, run := range dead {
		runtime := s.runtimeOf(run)
		switch {
		case id != "" && run.ID != id:
			failures = append(failures, run.Release())
			continue
		case runtime == nil && s.Absent[run.Runtime] != nil:
			failures = append(failures, run.Release(),
				fmt.Errorf("sweep run %s: it ran on %s: %w", run.ID, run.Runtime, s.Absent[run.Runtime]))
			continue
		case runtime == nil:
			failures = append(failures, run.Release())
			continue
		}
		one, err := s.sweep(ctx, runtime, run)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		swept = append(swept, one)
	}
	return swept, errors.Join(failures...)
}

// runtimeOf returns the runtime that ran this run's members; nil if it is not here.
func (s Sweeper) runtimeOf(run *harness.DeadRun) harness.Runtime {
	for _, runtime := range s.Runtimes {
		if runtime.Name() == run.Runtime {
			return runtime
		}
	}
	return nil
}

func (s Sweeper) sweep(ctx context.Context, runtime harness.Runtime, run *harness.DeadRun) (Swept, error) {
	swept := Swept{RunID: run.ID, Runtime: run.Runtime, Noted: run.Things}
	if s.DryRun {
		return swept, run.Release()
	}
	condition := await.Condition{Name: "what the run asked for last", Every: 200 * time.Millisecond}
	err := await.Until(ctx, condition, func(ctx context.Context) error {
		removed, err := runtime.Sweep(ctx, run.ID)
		swept.Removed += removed
		if err != nil {
			return await.Hopeless(err)
		}
		if age := time.Since(run.Noted); age < lateBirth && len(run.Things) > 0 {
			return fmt.Errorf("it was asked for %s ago", age.Round(time.Millisecond))
		}
		return nil
	})
	if err != nil {
		return swept, errors.Join(fmt.Errorf("sweep run %s: %w", run.ID, err), run.Release())
	}
	return swept, run.Bury()
}

// lateBirth is how long after its last note something of a dead run may still come into being: an engine goes on with a request
// whose sender was killed. It takes tenths of a second, or a few on a machine that is busy.
const lateBirth = 3 * time.Second

// Forced sweeps the run of this ID whether it lives or not, and whether it has a record here or not. A run that lives will
// fail. Without a record nobody knows where it ran, so every runtime looks for it, and one that is absent is an error.
func (s Sweeper) Forced(ctx context.Context, id string) ([]Swept, error) {
	if swept, err := s.Dead(ctx, id); err != nil || len(swept) > 0 {
		return swept, err
	}
	swept := Swept{RunID: id}
	if s.DryRun {
		return []Swept{swept}, nil
	}
	var failures []error
	for _, runtime := range s.Runtimes {
		removed, err := runtime.Sweep(ctx, id)
		swept.Removed += removed
		failures = append(failures, err)
	}
	for name, reason := range s.Absent {
		failures = append(failures, fmt.Errorf("sweep run %s: it may have run on %s: %w", id, name, reason))
	}
	return []Swept{swept}, errors.Join(failures...)
}
