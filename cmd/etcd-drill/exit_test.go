package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
	"github.com/etcd-drill/etcd-drill/recovery"
)

func TestErrorsBecomeTheDocumentedExitCodes(t *testing.T) {
	source := func(fault error) error {
		return fmt.Errorf("recover: %w", &recovery.SourceError{Path: "backup.db", Fault: fault})
	}
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"nothing wrong":        {nil, exitIntact},
		"damaged":              {verdictOf(verify.Damaged), exitDamaged},
		"inconclusive":         {verdictOf(verify.Inconclusive), exitCannotRun},
		"target missed":        {resultOf(report.Failed), exitDamaged},
		"target not measured":  {resultOf(report.Unproved), exitCannotRun},
		"targets met":          {resultOf(report.Passed), exitIntact},
		"hash does not match":  {source(recovery.ErrBadHash), exitDamaged},
		"structure is damaged": {source(recovery.ErrBadStructure), exitDamaged},
		"truncated":            {source(recovery.ErrTruncated), exitDamaged},
		"empty":                {source(recovery.ErrEmpty), exitDamaged},
		"not a database":       {source(recovery.ErrNotBolt), exitDamaged},
		"proved bad, beside the verdict of the drill that it ended": {
			errors.Join(source(recovery.ErrBadHash), verdictOf(verify.Inconclusive)), exitDamaged,
		},
		"unreadable":       {source(recovery.ErrUnreadable), exitCannotRun},
		"no space":         {fmt.Errorf("open drill: %w", drill.ErrNoSpace), exitCannotRun},
		"impossible":       {fmt.Errorf("%w: 0 members", drill.ErrUsage), exitUsage},
		"folder not empty": {fmt.Errorf("open drill: %w", drill.ErrNotEmpty), exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(context.Background(), c.err); got != c.want {
				t.Errorf("exit code %d for %v, want %d", got, c.err, c.want)
			}
		})
	}
}
