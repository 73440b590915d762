package drill

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// Judgement is a stored drill that was judged again.
type Judgement struct {
	// Report is the stored one with the new verdict.
	Report report.Report
	// Before is the stored verdict's outcome; empty if none was stored.
	Before verify.Outcome
}

// JudgeAgain judges the drill in this folder anew and returns its report with the new verdict, held against the goals that the
// drill had. It changes nothing.
func JudgeAgain(path string) (Judgement, error) {
	f := folder(path)
	verdict, err := f.judge(nil, "")
	if err != nil {
		return Judgement{}, err
	}
	var again Judgement
	if err := readJSON(f.report(), &again.Report); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Judgement{}, err
	}
	again.Before = again.Report.Verdict.Outcome
	again.Report.Verdict, again.Report.Folder = verdict, path
	again.Report = again.Report.HoldAgain()
	return again, nil
}

// Agreement says in a sentence whether the new verdict is the stored one.
func (j Judgement) Agreement() string {
	now := j.Report.Verdict.Outcome
	switch j.Before {
	case "":
		return fmt.Sprintf("judged again: %s; no verdict was stored", now)
	case now:
		return fmt.Sprintf("judged again: %s, as stored", now)
	}
	return fmt.Sprintf("judged again: %s; the stored verdict was %s", now, j.Before)
}
