package drill

import (
	"context"
	"errors"
	"fmt"

	"github.com/etcd-drill/etcd-drill/harness"
)

// Sweeper removes what runs left behind. It touches nothing that does not carry the ID of the run that it cleans.
type Sweeper struct {
	Runtime  harness.Runtime
	StateDir string
	// DryRun only counts what would be removed.
	DryRun bool
}

// Swept is what a run had left.
type Swept struct {
	RunID   string   `json:"run"`
	Noted   []string `json:"noted"`   // what the run had noted, as "kind name"
	Removed int      `json:"removed"` // how many things were removed from the engine; 0 in a dry run
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
		if id != "" && run.ID != id {
			failures = append(failures, run.Release())
			continue
		}
		one, err := s.sweep(ctx, run)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		swept = append(swept, one)
	}
	return swept, errors.Join(failures...)
}

func (s Sweeper) sweep(ctx context.Context, run *harness.DeadRun) (Swept, error) {
	swept := Swept{RunID: run.ID, Noted: run.Things}
	if s.DryRun {
		return swept, run.Release()
	}
	var err error
	if swept.Removed, err = s.Runtime.Sweep(ctx, run.ID); err != nil {
		return swept, errors.Join(fmt.Errorf("sweep run %s: %w", run.ID, err), run.Release())
	}
	return swept, run.Bury()
}

// Forced sweeps the run of this ID whether it lives or not, and whether it has a record here or not. A run that lives will
// fail.
func (s Sweeper) Forced(ctx context.Context, id string) ([]Swept, error) {
	if swept, err := s.Dead(ctx, id); err != nil || len(swept) > 0 {
		return swept, err
	}
	if s.DryRun {
		return []Swept{{RunID: id}}, nil
	}
	removed, err := s.Runtime.Sweep(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("sweep run %s: %w", id, err)
	}
	return []Swept{{RunID: id, Removed: removed}}, nil
}
