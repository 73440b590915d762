package docker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/harness/release"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// labelProbe marks the containers in which an image says its version. They belong to no run, because a runtime is prepared
// before any run opens.
const labelProbe = "io.etcd-drill.probe"

const (
	probeWithin  = time.Minute      // an engine under load can take seconds to start a container
	probeTooOld  = 10 * time.Minute // older ones were left behind by a program that died
	probeLogSize = 64 << 10
)

// answer is what an image once said, kept in a file of the cache folder.
type answer struct {
	Version string `json:"version"`
}

// ask has the image print its version. An image ID names content, so what it once said stays true and is not asked again.
func (s *imageSearch) ask(ctx context.Context, engine engineFacts, id string) (string, error) {
	path := filepath.Join(s.cacheDir, "asked", fileName(engine.os+"-"+engine.arch+"-"+id)+".json")
	if raw, err := os.ReadFile(path); err == nil {
		var known answer
		if json.Unmarshal(raw, &known) == nil && known.Version != "" {
			return known.Version, nil
		}
	}
	stop := release.Tick(s.progress, func(elapsed time.Duration) string {
		return fmt.Sprintf("asking the image for its version, %s", elapsed)
	})
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, probeWithin, fmt.Errorf("no answer within %s", probeWithin))
	defer cancel()
	printed, err := s.probe(ctx, id)
	if err != nil {
		return "", fmt.Errorf("run etcd --version in it: %w", err)
	}
	version, err := release.ParseVersion(printed)
	if err != nil {
		return "", err
	}
	if err := remember(path, answer{Version: version}); err != nil {
		s.log.Warn("the version of an image cannot be remembered", "error", err) // it is asked again next time
	}
	return version, nil
}

// remember writes the file in one step, so that a reader never sees half an answer.
func remember(path string, known answer) error {
	raw, err := json.Marshal(known)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temp := path + "." + rand.Text()
	if err := os.WriteFile(temp, raw, 0o600); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	return nil
}

// probe runs `etcd --version` in a throw-away container without network, privileges or anything to write to. The container
// is named by us, so that it can be removed even if the engine's answer to its creation was lost.
func (s *imageSearch) probe(ctx context.Context, id string) (printed string, err error) {
	s.removeForgottenProbes(ctx)
	name := "etcd-drill-probe-" + strings.ToLower(rand.Text())
	defer func() { err = errors.Join(err, s.removeProbe(ctx, name)) }()
	whole, cancel := making(ctx)
	defer cancel()
	_, err = s.engine.ContainerCreate(whole, client.ContainerCreateOptions{
		Name: name,
		Config: &container.Config{
			Image:      id,
			Entrypoint: []string{"etcd"},
			Cmd:        []string{"--version"},
			Labels:     map[string]string{labelProbe: "1"},
		},
		HostConfig: &container.HostConfig{
			NetworkMode:    "none",
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"},
			SecurityOpt:    []string{"no-new-privileges"},
			// The engine's default may be a driver whose logs cannot be read back.
			LogConfig: container.LogConfig{Type: "json-file"},
		},
	})
	if err != nil {
		return "", fmt.Errorf("create container: %w", err)
	}
	if _, err := s.engine.ContainerStart(ctx, name, client.ContainerStartOptions{}); err != nil {
		return "", fmt.Errorf("start container: %w", err)
	}
	code, err := s.awaitProbe(ctx, name)
	if err != nil {
		return "", fmt.Errorf("await container: %w", err)
	}
	if printed, err = s.probeLog(ctx, name); err != nil {
		return "", fmt.Errorf("read log of container: %w", err)
	}
	if code != 0 {
		return "", fmt.Errorf("it ended with exit code %d and printed %q", code, printed)
	}
	return printed, nil
}

// awaitProbe leaves no goroutine behind: the end of the context ends the request, which is reported as an error.
func (s *imageSearch) awaitProbe(ctx context.Context, name string) (int64, error) {
	end := s.engine.ContainerWait(ctx, name, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case err := <-end.Error:
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return 0, err
	case result := <-end.Result:
		if result.Error != nil {
			return 0, errors.New(result.Error.Message)
		}
		return result.StatusCode, nil
	}
}

func (s *imageSearch) probeLog(ctx context.Context, name string) (_ string, err error) {
	logs, err := s.engine.ContainerLogs(ctx, name, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, logs.Close()) }()
	var printed bytes.Buffer
	if _, err := stdcopy.StdCopy(&printed, &printed, logs); err != nil {
		return "", err
	}
	return string(printed.Next(probeLogSize)), nil
}

func (s *imageSearch) removeProbe(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	_, err := s.engine.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !isAbsent(err) {
		return fmt.Errorf("remove container %s: %w", name, err)
	}
	return nil
}

// removeForgottenProbes clears up after programs that died while they probed. What fails here fails again next time.
func (s *imageSearch) removeForgottenProbes(ctx context.Context) {
	list, err := s.engine.ContainerList(ctx, client.ContainerListOptions{
		All: true, Filters: client.Filters{}.Add("label", labelProbe+"=1"),
	})
	if err != nil {
		s.log.Debug("forgotten probes cannot be listed", "error", err)
		return
	}
	for _, forgotten := range list.Items {
		if time.Since(time.Unix(forgotten.Created, 0)) < probeTooOld {
			continue // of a run that is alive, as far as anybody can tell
		}
		if err := s.removeProbe(ctx, forgotten.ID); err != nil {
			s.log.Warn("a forgotten probe stays", "error", err)
		}
	}
}

// fileName makes an ID or a version fit for a file name.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-':
			return r
		}
		return '-'
	}, s)
}
