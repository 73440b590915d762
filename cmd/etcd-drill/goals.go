package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/etcd-drill/etcd-drill/drill"
)

// goalFlags say what is demanded of the recovery. Nothing is, unless somebody does.
type goalFlags struct {
	rto, rpo time.Duration
	maxLost  int64
}

func (g *goalFlags) add(flags *pflag.FlagSet) {
	flags.DurationVar(&g.rto, "rto", 0, "fail unless the new cluster takes a write within this time after the signal (default: no target)")
	flags.DurationVar(&g.rpo, "rpo", 0, "fail if writes were lost that returned longer than this before the signal (default: no target)")
	flags.Int64Var(&g.maxLost, "max-lost", 0, "fail if more acknowledged writes than this were lost (default: no target)")
}

func (g *goalFlags) goals(flags *pflag.FlagSet) (drill.Goals, error) {
	var goals drill.Goals
	if flags.Changed("rto") {
		goals.RTO = &g.rto
	}
	if flags.Changed("rpo") {
		goals.RPO = &g.rpo
	}
	if flags.Changed("max-lost") {
		goals.MaxLost = &g.maxLost
	}
	if err := goals.Check(); err != nil {
		return drill.Goals{}, usage(err)
	}
	return goals, nil
}
