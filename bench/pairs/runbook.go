package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// lap is one line of the runbook: a step and its seconds.
var lap = regexp.MustCompile(`^(.*?)\s+([0-9.]+) s$`)

func timeRunbook(ctx context.Context, o options) (times stretches, err error) {
	cmd := exec.CommandContext(ctx, o.runbook)
	cmd.Env = append(os.Environ(), "IMAGE="+o.image, "LOAD="+o.load, "KEYS="+strconv.Itoa(o.keys))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return times, fmt.Errorf("run runbook: %w\n%s%s", err, stdout.Bytes(), stderr.Bytes())
	}
	steps := 0
	for line := range strings.Lines(stdout.String()) {
		found := lap.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if found == nil {
			continue
		}
		seconds, err := strconv.ParseFloat(found[2], 64)
		if err != nil {
			return times, fmt.Errorf("read runbook's line %q: %w", line, err)
		}
		switch step := found[1]; {
		case step == "TOTAL":
			times.total = seconds
		case step == "snapshot save", step == "stop survivor", step == "restored cluster up",
			strings.HasPrefix(step, "restore ") && strings.HasSuffix(step, " members"):
			times.recovery += seconds
			steps++
		}
	}
	if steps != 4 || times.total == 0 {
		return times, fmt.Errorf("the runbook did not print its steps:\n%s", stdout.Bytes())
	}
	return times, nil
}
