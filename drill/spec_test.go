package drill

import (
	"errors"
	"slices"
	"testing"

	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
)

func TestSpecsWithoutASourceAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"no members":              func(s *Spec) { s.Members = 0 },
		"too many members":        func(s *Spec) { s.Members = 10 },
		"more victims than there": func(s *Spec) { s.Lose = "4" },
		"tolerable loss of one":   func(s *Spec) { s.Members, s.Lose = 1, faults.Tolerable },
		"unknown fault":           func(s *Spec) { s.Fault = "meteor" },
		"unknown target":          func(s *Spec) { s.Lose = "some" },
		"unknown source":          func(s *Spec) { s.Source = "tape" },
		"unknown time":            func(s *Spec) { s.Backup = "never" },
		"no keys":                 func(s *Spec) { s.Keys = 0 },
		"values without a head":   func(s *Spec) { s.ValueBytes = 31 },
		"nobody to save from":     func(s *Spec) { s.Lose = faults.All },
		"one member, saved after": func(s *Spec) { s.Members = 1 },
		"nothing to copy":         func(s *Spec) { s.Lose, s.Fault, s.Source = faults.All, "wipe", recovery.DBCopy },
		"db copy before":          func(s *Spec) { s.Source, s.Backup = recovery.DBCopy, Before },
	} {
		t.Run(name, func(t *testing.T) {
			spec := DefaultSpec()
			change(&spec)
			if err := spec.Check(); !errors.Is(err, ErrUsage) {
				t.Errorf("got %v, want an error that wraps ErrUsage", err)
			}
		})
	}
}

func TestSpecsWithASourceAreAccepted(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"default":            func(*Spec) {},
		"all, saved before":  func(s *Spec) { s.Lose, s.Backup = faults.All, Before },
		"wiped, saved after": func(s *Spec) { s.Fault = "wipe" },
		"wiped, db":          func(s *Spec) { s.Fault, s.Source = "wipe", recovery.DBCopy },
		"one, db":            func(s *Spec) { s.Members, s.Source = 1, recovery.DBCopy },
		"leader":             func(s *Spec) { s.Lose = faults.Leader },
	} {
		t.Run(name, func(t *testing.T) {
			spec := DefaultSpec()
			change(&spec)
			if err := spec.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPreviewsOfOneSeedDifferInTokensOnly(t *testing.T) {
	spec := DefaultSpec()
	spec.Members, spec.Lose, spec.Fault, spec.Backup, spec.Seed = 5, "3", "wipe", Before, 7
	one, err := NewPreview(spec, harness.HostPlaces{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewPreview(spec, harness.HostPlaces{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(one.Victims, other.Victims) || len(one.Victims) != 3 {
		t.Errorf("seed 7 hits %v and %v", one.Victims, other.Victims)
	}
	if one.Token == other.Token || one.ClusterID == other.ClusterID {
		t.Errorf("two previews share token %s or cluster %s", one.Token, one.ClusterID)
	}
	if len(one.Steps) != len(other.Steps) || len(one.Steps) < 5 {
		t.Errorf("the plans have %d and %d steps", len(one.Steps), len(other.Steps))
	}
}
