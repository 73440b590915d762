package docker

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/internal/await"
)

// openSite opens a site of its own whose run keeps its record in the returned file.
func openSite(t *testing.T, cfg Config) (*site, string) {
	t.Helper()
	cfg.Image = os.Getenv("ETCD_DRILL_IMAGE")
	runtime, err := New(t.Context(), cfg)
	NeedEngine(t, err)
	t.Cleanup(func() { check(t, runtime.Close()) })
	state := t.TempDir()
	run, err := harness.NewRun(harness.RunConfig{StateDir: state, WorkDir: filepath.Join(t.TempDir(), "work")})
	check(t, err)
	t.Cleanup(func() { check(t, run.Close(false)) })
	opened, err := runtime.Open(t.Context(), run)
	check(t, err)
	t.Cleanup(func() { check(t, opened.Close(t.Context(), false)) })
	return opened.(*site), filepath.Join(state, run.ID()+".jsonl")
}

// TestWhatIsBeingMadeWhenARunIsInterruptedIsRemoved interrupts a site that asks for its network. The engine goes on with a
// request whose sender is gone, so what was asked for came into being after everything had been removed.
func TestWhatIsBeingMadeWhenARunIsInterruptedIsRemoved(t *testing.T) {
	s, _ := openSite(t, Config{})
	for range 5 {
		state := t.TempDir()
		run, err := harness.NewRun(harness.RunConfig{StateDir: state, WorkDir: filepath.Join(t.TempDir(), "work")})
		check(t, err)
		ctx, interrupt := context.WithCancel(t.Context())
		opened := make(chan error, 1)
		go func() {
			_, err := s.runtime.Open(ctx, run)
			opened <- err
		}()
		record := filepath.Join(state, run.ID()+".jsonl")
		check(t, await.Until(t.Context(), await.Condition{Name: "the request for a network", Every: time.Millisecond, Within: 10 * time.Second},
			func(context.Context) error {
				if !slices.ContainsFunc(notes(t, record), func(note string) bool { return strings.HasPrefix(note, "network ") }) {
					return errors.New("it has not been noted")
				}
				return nil
			}))
		interrupt()
		if err := <-opened; !errors.Is(err, context.Canceled) {
			t.Errorf("a site that was interrupted while it was opened returned %v", err)
		}
		late := await.Until(t.Context(), await.Condition{Name: "something late", Every: 50 * time.Millisecond, Within: time.Second},
			func(ctx context.Context) error {
				left, err := s.runtime.Left(ctx, run.ID())
				if err == nil && len(left) == 0 {
					err = errors.New("nothing is left")
				}
				return err
			})
		if late == nil {
			t.Error("something came into being after the site was closed")
		}
		_, err = s.runtime.Sweep(t.Context(), run.ID())
		check(t, errors.Join(err, run.Close(false)))
	}
}

// TestEverythingIsLabelledAndNoted compares what the engine holds with the run's record.
func TestEverythingIsLabelledAndNoted(t *testing.T) {
	for _, sharing := range []Sharing{SharingBind, SharingVolume} {
		t.Run(string(sharing), func(t *testing.T) {
			s, record := openSite(t, Config{Sharing: sharing})
			n := startNode(t, s, "m1", "--data-dir=/disk/data")
			noted := notes(t, record)
			for _, sweep := range s.runtime.sweeps(client.Filters{}.Add("label", labelRun+"="+s.run.ID()), everything) {
				ids, err := sweep.list(t.Context())
				check(t, err)
				if len(ids) == 0 && (sweep.kind != "volume" || sharing == SharingVolume) {
					t.Errorf("no %s carries the run's label", sweep.kind)
				}
				for _, id := range ids {
					if name := nameOf(t, s, sweep.kind, id); !slices.Contains(noted, sweep.kind+" "+name) {
						t.Errorf("%s %s is not in the run's record %q", sweep.kind, name, noted)
					}
				}
			}
			found, err := s.runtime.engine.ContainerInspect(t.Context(), n.box.GetContainerID(), client.ContainerInspectOptions{})
			check(t, err)
			if got := found.Container.Config.Labels[labelNode]; got != "m1" {
				t.Errorf("the node's label is %q", got)
			}
			if name := found.Container.Name; name != "/etcd-drill-"+s.run.ID()+"-m1" {
				t.Errorf("the container's name is %q", name)
			}
		})
	}
}

// TestCloseKeepsDisks closes a site twice: first without its data, then with it.
func TestCloseKeepsDisks(t *testing.T) {
	for _, sharing := range []Sharing{SharingBind, SharingVolume} {
		t.Run(string(sharing), func(t *testing.T) {
			s, _ := openSite(t, Config{Sharing: sharing})
			_, err := s.NewDisk(t.Context(), "d1")
			check(t, err)
			kept := func() bool {
				if sharing == SharingBind {
					_, err := os.Stat(filepath.Join(s.run.WorkDir(), "disks", "d1"))
					return err == nil
				}
				_, err := s.runtime.engine.VolumeInspect(t.Context(), s.name("d1"), client.VolumeInspectOptions{})
				return err == nil
			}
			check(t, s.Close(t.Context(), true))
			if !kept() {
				t.Error("the disk is gone although it was to be kept")
			}
			check(t, s.Close(t.Context(), false))
			if kept() {
				t.Error("the disk is still there")
			}
		})
	}
}

// TestNothingIsExposed looks at what the engine publishes: nothing where addresses are reached, else on loopback only.
func TestNothingIsExposed(t *testing.T) {
	for _, reach := range []Reach{ReachAuto, ReachPublished} {
		t.Run(string(reach), func(t *testing.T) {
			s, _ := openSite(t, Config{Reach: reach})
			n := startNode(t, s, "m1", "--data-dir=/disk/data")
			found, err := s.runtime.engine.ContainerInspect(t.Context(), n.box.GetContainerID(), client.ContainerInspectOptions{})
			check(t, err)
			published := 0
			for _, bindings := range found.Container.HostConfig.PortBindings {
				for _, binding := range bindings {
					published++
					if !binding.HostIP.IsLoopback() {
						t.Errorf("a port is published at %s", binding.HostIP)
					}
				}
			}
			if want := map[bool]int{false: 0, true: 2}[s.link.published]; published != want {
				t.Errorf("%d ports are published, want %d", published, want)
			}
			networks := found.Container.NetworkSettings.Networks
			if len(networks) != 1 || networks[s.link.name] == nil {
				t.Errorf("the node is in networks %v", networks)
			}
			network, err := s.runtime.engine.NetworkInspect(t.Context(), s.link.id, client.NetworkInspectOptions{})
			check(t, err)
			if network.Network.Internal == s.link.published {
				t.Errorf("internal: %t, published: %t", network.Network.Internal, s.link.published)
			}
			if saysSo := len(s.Assumed()) > 0; saysSo != s.link.published {
				t.Errorf("what could not be made sure of: %q", s.Assumed())
			}
		})
	}
}

// TestTestcontainersDoesNothingUnasked: no network of its own, no pull.
func TestTestcontainersDoesNothingUnasked(t *testing.T) {
	s, _ := openSite(t, Config{})
	before := networkNames(t, s)
	startNode(t, s, "m1", "--data-dir=/disk/data")
	if after := networkNames(t, s); !slices.Equal(before, after) {
		t.Errorf("starting a node made networks: %q before, %q after", before, after)
	}
	// An engine need not have the default network that testcontainers would then make.
	shown, err := s.runtime.provider.Client().NetworkList(t.Context(), client.NetworkListOptions{})
	if err != nil || len(shown.Items) != 1 || shown.Items[0].Name != testcontainers.Bridge {
		t.Errorf("testcontainers is shown networks %v, %v", shown.Items, err)
	}
	s.image = "etcd-drill.invalid/none:1"
	disk, err := s.NewDisk(t.Context(), "d2")
	check(t, err)
	made, err := s.NewNode(t.Context(), harness.NodeSpec{Name: "m2", Disk: disk})
	check(t, err)
	if err := made.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "it is not on the engine") {
		t.Errorf("starting a node without an image returned %v", err)
	}
}

// TestStartTellsTheEnginesReason lets the engine refuse, for want of the folder that a node's disk lies in.
func TestStartTellsTheEnginesReason(t *testing.T) {
	s, _ := openSite(t, Config{Sharing: SharingBind})
	disk, err := s.NewDisk(t.Context(), "m1")
	check(t, err)
	made, err := s.NewNode(t.Context(), harness.NodeSpec{Name: "m1", Disk: disk})
	check(t, err)
	dir := disk.(*bound).Dir()
	check(t, os.Remove(dir))
	err = made.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "m1") || !strings.Contains(err.Error(), dir) {
		t.Errorf("starting a node without its disk returned %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the engine made the missing folder")
	}
	ended, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if exit, err := made.Wait(ended); !errors.Is(err, harness.ErrNeverStarted) {
		t.Errorf("a node that could not be started ended with %+v, %v", exit, err)
	}
}

// TestStartTellsTheLogToo takes a node's network away between two starts.
func TestStartTellsTheLogToo(t *testing.T) {
	s, _ := openSite(t, Config{})
	n := startNode(t, s, "m1", "--version")
	_, err := n.Wait(t.Context())
	check(t, err)
	_, err = s.runtime.engine.NetworkRemove(t.Context(), s.link.id, client.NetworkRemoveOptions{})
	check(t, err)
	err = n.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), s.link.id[:12]) || !strings.Contains(err.Error(), "etcd Version") {
		t.Errorf("starting a node without its network returned %v", err)
	}
}

func TestRemoteHost(t *testing.T) {
	for host, want := range map[string]string{
		"unix:///var/run/docker.sock": "", "npipe:////./pipe/docker_engine": "", "tcp://127.0.0.1:2375": "",
		"tcp://localhost:2375": "", "tcp://[::1]:2375": "", "tcp://docker:2375": "docker", "https://10.1.2.3:2376": "10.1.2.3",
	} {
		if got, remote := remoteHost(host); got != want || remote != (want != "") {
			t.Errorf("remoteHost(%q) = %q, %t", host, got, remote)
		}
	}
}

func startNode(t *testing.T, s *site, name string, args ...string) *node {
	t.Helper()
	disk, err := s.NewDisk(t.Context(), name)
	check(t, err)
	made, err := s.NewNode(t.Context(), harness.NodeSpec{Name: name, Disk: disk, Args: args})
	check(t, err)
	check(t, made.Start(t.Context()))
	return made.(*node)
}

func notes(t *testing.T, record string) (noted []string) {
	t.Helper()
	text, err := os.ReadFile(record)
	check(t, err)
	for line := range strings.Lines(string(text)) {
		var item struct{ Kind, Name string }
		check(t, json.Unmarshal([]byte(line), &item))
		noted = append(noted, item.Kind+" "+item.Name)
	}
	return noted
}

func nameOf(t *testing.T, s *site, kind, id string) string {
	t.Helper()
	switch kind {
	case "container":
		found, err := s.runtime.engine.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{})
		check(t, err)
		return strings.TrimPrefix(found.Container.Name, "/")
	case "network":
		found, err := s.runtime.engine.NetworkInspect(t.Context(), id, client.NetworkInspectOptions{})
		check(t, err)
		return found.Network.Name
	default:
		return id
	}
}

// networkNames lists the networks that this test or testcontainers could have made.
func networkNames(t *testing.T, s *site) (names []string) {
	t.Helper()
	listed, err := s.runtime.engine.NetworkList(t.Context(), client.NetworkListOptions{})
	check(t, err)
	for _, item := range listed.Items {
		if item.Labels[labelRun] == s.run.ID() || item.Name == testcontainers.ReaperDefault {
			names = append(names, item.Name)
		}
	}
	slices.Sort(names)
	return names
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
