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

	"github.com/etcd-drill/etcd-drill/bench/measure"
	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// timeDrill drills the backup and reads so much of the members.
func timeDrill(ctx context.Context, r race, read string) (f figures, err error) {
	dir, err := os.MkdirTemp(r.dir, "own-drill-")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out := filepath.Join(dir, "drill")
	cmd := exec.CommandContext(ctx, r.drill, "run", "--snapshot", r.set.Path, "--runtime", "process",
		"--members", fmt.Sprint(r.members), "--read", read,
		"--restore-version", r.etcd.Version, "--timeout", "2h", "--out", out, "-w", "json")
	cmd.Env = append(os.Environ(), "ETCD_DRILL_STATE_DIR="+filepath.Join(dir, "state"))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it has members to end
	cmd.WaitDelay = time.Minute
	var stdout bytes.Buffer
	stderr := &tail{}
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return f, err
	}
	memory := measure.Watch(cmd.Process.Pid)
	err = cmd.Wait()
	used := memory.Stop()
	if err != nil {
		return f, fmt.Errorf("run drill: %w\n%s", err, stderr.text)
	}
	var summary report.Summary
	if err := json.Unmarshal(stdout.Bytes(), &summary); err != nil {
		return f, fmt.Errorf("read drill's result: %w", err)
	}
	if summary.Outcome() != verify.Intact {
		return f, fmt.Errorf("the drill is %s; only an intact one is worth timing", summary.Outcome())
	}
	f.anonMiB, f.etcdMiB, f.programs = mib(used.OwnKiB), mib(used.MembersKiB), used.Parts
	return f, f.readLaps(begin, filepath.Join(out, "events.jsonl"))
}

func mib(kib int64) float64 { return float64(kib) / 1024 }

// readLaps takes the time from the log of events: up to the verdict, and between those that a person can tell apart.
func (f *figures) readLaps(begin time.Time, path string) error {
	events, err := drill.ReadEvents(path)
	if err != nil {
		return err
	}
	names := map[drill.EventName]string{
		drill.EventFetched: "fetch", drill.EventChecked: "check", drill.EventPlanned: "plan", drill.EventRestored: "restore",
		drill.EventStarted: "vet", drill.EventAgreed: "start", drill.EventReadBack: "read", drill.EventJudged: "judge",
	}
	last := begin
	for _, event := range events {
		if name := names[event.Name]; name != "" {
			f.laps = append(f.laps, lap{name, event.At.Sub(last).Seconds()})
			last = event.At
		}
		if event.Name == drill.EventJudged {
			f.seconds = event.At.Sub(begin).Seconds()
		}
	}
	if f.seconds == 0 {
		return fmt.Errorf("the drill has no event %q", drill.EventJudged)
	}
	return nil
}
