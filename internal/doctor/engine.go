package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/docker"
	"github.com/etcd-drill/etcd-drill/harness/host"
)

// engine is what was found of the container engine, and where members would run.
type engine struct {
	runtime host.Choice // Docker or Process
	finding Finding
	sharing Finding
	present *harness.Prepared // the image, if the engine has it
	absent  string            // why it has none
}

// examineWithin bounds every question to an engine.
const examineWithin = time.Minute

func examineEngine(ctx context.Context, p Patient) (engine, error) {
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	wanted, err := p.Host.Settled()
	if err != nil {
		return engine{}, err
	}
	asked := p.Host
	asked.Choice, asked.Program = host.Docker, ""
	if wanted == host.Process {
		asked.Image = ""
	}
	opened, err := host.Open(ctx, asked)
	if err != nil {
		return withoutEngine(wanted, err), nil
	}
	defer opened.Close() //nolint:errcheck // nothing is lost by closing
	rt, ok := opened.Runtime.(*docker.Runtime)
	if !ok {
		return engine{}, errors.New("examine engine: the runtime of engines is another one")
	}
	found := engine{runtime: host.Docker}
	if wanted == host.Process {
		found.runtime = host.Process
	}
	facts, err := rt.Facts(ctx)
	if err != nil {
		return withoutEngine(wanted, err), nil
	}
	found.finding = Finding{
		What: "container engine", State: Yes, Means: "drills can run in containers",
		Seen: fmt.Sprintf("%s, API %s, %s/%s, cgroup version %s, at %s",
			facts.Name, facts.API, facts.OS, facts.Arch, facts.Cgroup, facts.Host),
	}
	if prepared, err := rt.Present(ctx); err == nil {
		found.present = &prepared
	} else {
		found.absent = oneLine(err)
	}
	found.sharing = shared(withRun(p, func(run *harness.Run) error { return rt.Shares(ctx, run) }))
	return found, nil
}

func withoutEngine(wanted host.Choice, reason error) engine {
	f := Finding{
		What: "container engine", State: No, Seen: oneLine(reason),
		Means: "drills run on plain processes", Do: "start an engine, or set DOCKER_HOST, to rehearse in containers",
	}
	var connect *docker.ConnectError
	if errors.As(reason, &connect) && connect.Kind != nil {
		f.Seen, f.Do = fmt.Sprintf("%v at %s", connect.Kind, connect.Host), connect.Hint
	}
	found := engine{runtime: host.Process, absent: "there is no engine"}
	if wanted == host.Docker {
		found.runtime, f.Fatal, f.Means = host.Docker, true, "--runtime docker was asked for: no drill can run"
	}
	found.finding = f
	found.sharing = Finding{
		What: "shared folders", State: Unknown, Seen: "there is no engine to share them with", Means: "nothing on plain processes",
	}
	return found
}

func shared(err error) Finding {
	f := Finding{What: "shared folders", State: Yes, Seen: "the engine sees the folders of this machine",
		Means: "members' data lies in the drill folder"}
	if err != nil {
		f.State, f.Seen = No, oneLine(err)
		f.Means = "members' data lies in volumes of the engine, and is copied: restores take longer"
		f.Do = "rehearse in a folder that the engine shares, if it shares any"
	}
	return f
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
