//go:build !unix

package recovery

import (
	"os"
	"os/exec"
)

// ownGroup changes nothing here: without process groups, os/exec kills the worker alone.
func ownGroup(*exec.Cmd) {}

// deathSignal is always empty here: there are no signals to die of.
func deathSignal(*os.ProcessState) string { return "" }

// tieToParent changes nothing here.
func tieToParent(*exec.Cmd) {}
