// Package host chooses where members run on this machine: on a container engine, or as plain processes.
//
// It is the one place that knows all runtimes; programs and suites ask it for one and then know only that.
package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/docker"
	"github.com/etcd-drill/etcd-drill/harness/process"
)

// Choice is a runtime that somebody asked for, or Auto.
type Choice string

// The choices. Auto takes the engine where one answers, and processes otherwise.
const (
	Auto    Choice = "auto"
	Docker  Choice = "docker"
	Process Choice = "process"
)

// ErrChoice marks what cannot be chosen: an unknown word, or two settings that exclude each other.
var ErrChoice = errors.New("no such choice of runtime")

// Config says what to choose and what to hand to the chosen one. Image belongs to an engine and Program to processes; under
// Auto each of them decides the matter.
type Config struct {
	Choice   Choice // Auto if empty
	Image    string // see docker.Config
	Program  string // see process.Config
	Version  string
	CacheDir string
	StateDir string
	Progress func(string)
	Log      *slog.Logger
}

// WithDefaults fills in an image and a program that nobody asked for in so many words, such as those of an environment,
// where the choice has a use for them and nothing else was asked for.
func (c Config) WithDefaults(image, program string) Config {
	if c.Image != "" || c.Program != "" {
		return c
	}
	if c.Choice != Process {
		c.Image = image
	}
	if c.Choice != Docker {
		c.Program = program
	}
	return c
}

// Runtime is a harness.Runtime that can be closed and that looks for what a run has left.
type Runtime interface {
	harness.Runtime
	// Left names what still carries the run's ID, as "kind id".
	Left(ctx context.Context, runID string) ([]string, error)
	// Close gives back what the runtime holds. It leaves members alone; those belong to a Site.
	Close() error
}

var (
	_ Runtime = (*docker.Runtime)(nil)
	_ Runtime = (*process.Runtime)(nil)
)

// Chosen is a runtime and why it is this one.
type Chosen struct {
	Runtime
	// Why says in a line why it is this runtime and how to get the other; empty if it was asked for.
	Why string
}

// Open opens the runtime that was chosen. A runtime that was asked for by name is the only one tried. The caller closes it.
func Open(ctx context.Context, cfg Config) (Chosen, error) {
	choice, err := cfg.Settled()
	if err != nil {
		return Chosen{}, err
	}
	if choice == Process {
		runtime, err := openProcess(cfg)
		return Chosen{Runtime: runtime}, err
	}
	engine, err := openDocker(ctx, cfg)
	switch {
	case err == nil && choice == Docker:
		return Chosen{Runtime: engine}, nil
	case err == nil:
		return Chosen{Runtime: engine, Why: "docker, since an engine answers; plain processes instead: --runtime process"}, nil
	case choice == Docker || ctx.Err() != nil || errors.Is(err, docker.ErrReaperOn):
		return Chosen{}, err
	}
	runtime, failure := openProcess(cfg)
	return Chosen{Runtime: runtime, Why: "process, since " + reason(err) + "; --runtime docker insists"}, failure
}

// Settled returns the choice: Auto only where no other setting decides the matter. Settings that exclude each other are an
// error wrapping ErrChoice.
func (c Config) Settled() (Choice, error) {
	choice := c.Choice
	if choice == "" {
		choice = Auto
	}
	switch {
	case choice != Auto && choice != Docker && choice != Process:
		return "", fmt.Errorf("%w: %q: choose auto, docker or process", ErrChoice, choice)
	case c.Image != "" && c.Program != "":
		return "", fmt.Errorf("%w: an image and a program exclude each other: %s, %s", ErrChoice, c.Image, c.Program)
	case choice == Docker && c.Program != "":
		return "", fmt.Errorf("%w: %s is a program, which an engine cannot run; use --image, or --runtime process", ErrChoice, c.Program)
	case choice == Process && c.Image != "":
		return "", fmt.Errorf("%w: %s is an image, which needs an engine; use --binary, or --runtime docker", ErrChoice, c.Image)
	case c.Program != "":
		return Process, nil
	case c.Image != "":
		return Docker, nil
	}
	return choice, nil
}

// reason is the one line that an engine's absence is worth where processes take its place.
func reason(err error) string {
	var connect *docker.ConnectError
	if errors.As(err, &connect) && connect.Kind != nil {
		return fmt.Sprintf("%v at %s (%s)", connect.Kind, connect.Host, connect.Hint)
	}
	return strings.ReplaceAll(err.Error(), "\n", " | ")
}

func openDocker(ctx context.Context, cfg Config) (*docker.Runtime, error) {
	if err := docker.DisableReaper(); err != nil {
		return nil, err
	}
	return docker.New(ctx, docker.Config{
		Image: cfg.Image, Version: cfg.Version, CacheDir: cfg.CacheDir, Progress: cfg.Progress, Log: cfg.Log,
	})
}

func openProcess(cfg Config) (*process.Runtime, error) {
	return process.New(process.Config{
		Program: cfg.Program, Version: cfg.Version, CacheDir: cfg.CacheDir, StateDir: cfg.StateDir,
		Progress: cfg.Progress, Log: cfg.Log,
	})
}

// All opens every runtime of this machine, for whoever cleans up after runs on any of them. Why one is absent stands under
// its name. The caller closes those that are there.
func All(ctx context.Context, cfg Config) (here []Runtime, absent map[string]error, err error) {
	processes, err := openProcess(cfg)
	if err != nil {
		return nil, nil, err
	}
	here, absent = append(here, processes), map[string]error{}
	engine, err := openDocker(ctx, cfg)
	if err != nil {
		absent[string(Docker)] = err
		return here, absent, nil //nolint:nilerr // that an engine is absent is an answer
	}
	return append(here, engine), absent, nil
}
