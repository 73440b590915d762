//go:build !unix

package child

import (
	"os"
	"os/exec"
)

// OwnGroup changes nothing here: without process groups, os/exec kills the worker alone.
func OwnGroup(*exec.Cmd) {}

// DeathSignal is always empty here: there are no signals to die of.
func DeathSignal(*os.ProcessState) string { return "" }

// TieToParent changes nothing here.
func TieToParent(*exec.Cmd) {}
