package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// drillTimes are the stretches of one drill, in seconds.
type drillTimes struct{ recovery, judged, whole, outageWindow, fenceWindow float64 }

// timeDrillBesideHand leaves out what a person at the keyboard does not do: watching, and cleaning up.
func timeDrillBesideHand(ctx context.Context, o options) (stretches, error) {
	t, err := timeDrill(ctx, o, "--image", o.image)
	return stretches{
		recovery: t.recovery, total: t.judged - t.outageWindow - t.fenceWindow,
		note: fmt.Sprintf("windows: outage %.2f s, fence %.2f s", t.outageWindow, t.fenceWindow),
	}, err
}

// onRuntime times all of a drill on this runtime.
func onRuntime(name string) side {
	return side{name: name, time: func(ctx context.Context, o options) (stretches, error) {
		t, err := timeDrill(ctx, o, "--runtime", name)
		return stretches{recovery: t.recovery, total: t.whole}, err
	}}
}

func timeDrill(ctx context.Context, o options, where ...string) (times drillTimes, err error) {
	dir, err := os.MkdirTemp("", "pairs-")
	if err != nil {
		return times, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out := filepath.Join(dir, "drill")
	cmd := exec.CommandContext(ctx, o.drill, append([]string{
		"run", "--source", "snapshot", "--keys", fmt.Sprint(o.keys), "--keep", "none", "--out", out, "-w", "json",
	}, where...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return times, fmt.Errorf("run drill: %w\n%s", err, stderr.Bytes())
	}
	times.whole = time.Since(begin).Seconds()
	var summary report.Summary
	if err := json.Unmarshal(stdout.Bytes(), &summary); err != nil {
		return times, fmt.Errorf("read drill's result: %w", err)
	}
	if len(summary.Drills) != 1 || summary.Outcome() != verify.Intact {
		return times, fmt.Errorf("the drill is %s; only an intact one is worth timing", summary.Outcome())
	}
	one := summary.Drills[0]
	times.outageWindow, times.fenceWindow = one.Outage.Observed.Seconds(), one.Fence.Observed.Seconds()
	judged, err := momentOf(drill.EventJudged, filepath.Join(out, "events.jsonl"))
	if err != nil {
		return times, err
	}
	times.judged = judged.Sub(begin).Seconds()
	times.recovery, err = recoveryOf(one.RTO)
	return times, err
}

// recoveryOf is the time from the start of the saving to the first acknowledged write.
func recoveryOf(rto report.RTO) (float64, error) {
	for _, part := range rto.Parts {
		if part.Name == report.PartFetch && rto.Complete {
			return (rto.Total - part.After).Seconds(), nil
		}
	}
	return 0, errors.New("the drill's recovery is incomplete")
}

func momentOf(name drill.EventName, path string) (time.Time, error) {
	events, err := drill.ReadEvents(path)
	if err != nil {
		return time.Time{}, err
	}
	for _, event := range events {
		if event.Name == name {
			return event.At, nil
		}
	}
	return time.Time{}, fmt.Errorf("the drill has no event %q", name)
}
