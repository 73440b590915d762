package main

import (
	"bufio"
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
type drillTimes struct{ recovery, total, outageWindow, fenceWindow float64 }

func timeDrill(ctx context.Context, o options) (times drillTimes, err error) {
	dir, err := os.MkdirTemp("", "pairs-")
	if err != nil {
		return times, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out := filepath.Join(dir, "drill")
	cmd := exec.CommandContext(ctx, o.drill, "run", "--source", "snapshot", "--keys", fmt.Sprint(o.keys),
		"--image", o.image, "--keep", "none", "--out", out, "-w", "json")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return times, fmt.Errorf("run drill: %w\n%s", err, stderr.Bytes())
	}
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
	times.total = judged.Sub(begin).Seconds() - times.outageWindow - times.fenceWindow
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
	file, err := os.Open(path)
	if err != nil {
		return time.Time{}, err
	}
	defer file.Close() //nolint:errcheck // reading is all that was wanted
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var event drill.Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return time.Time{}, fmt.Errorf("read event: %w", err)
		}
		if event.Name == name {
			return event.At, nil
		}
	}
	return time.Time{}, errors.Join(fmt.Errorf("the drill has no event %q", name), lines.Err())
}
