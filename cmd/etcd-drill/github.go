package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/etcd-drill/etcd-drill/internal/report"
)

// What GitHub sets for the steps of a job
// (docs.github.com, "Workflow commands for GitHub Actions" and "Store information in variables").
const (
	envActions = "GITHUB_ACTIONS"      // "true" on a runner
	envSummary = "GITHUB_STEP_SUMMARY" // a file to which Markdown is appended
	envOutput  = "GITHUB_OUTPUT"       // a file to which outputs of the step are appended
)

// tellGitHub tells a job of GitHub what came of the run. That it cannot be told changes no verdict: it is said, and that is all.
func tellGitHub(summary report.Summary) {
	err := errors.Join(
		appendTo(os.Getenv(envSummary), func(out io.Writer) error { return report.WriteMarkdown(out, summary) }),
		appendTo(os.Getenv(envOutput), func(out io.Writer) error { return report.WriteOutputs(out, summary) }),
	)
	if os.Getenv(envActions) == "true" { // on standard error: standard output may hold one JSON document and nothing else
		err = errors.Join(err, report.WriteAnnotations(os.Stderr, summary))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd-drill: tell GitHub:", err)
	}
}

// appendTo appends to the file that a variable names, if it does.
func appendTo(file string, write func(io.Writer) error) error {
	if file == "" {
		return nil
	}
	out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(out), out.Close())
}
