package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/moby/moby/api/types/mount"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/folder"
)

const (
	labelRun  = "io.etcd-drill.run"
	labelNode = "io.etcd-drill.node"
	labelDisk = "io.etcd-drill.disk"

	diskMount = "/disk"

	closePatience = 2 * time.Minute
)

// site is the network, the disks and the nodes of one run. A run has one site at a time: its resources are found by the
// run's label.
type site struct {
	runtime *Runtime
	run     *harness.Run
	image   string // of everything but nodes of another version
	link    link
	store   storage
	life    sync.RWMutex // held for reading while something is made, for writing by Close
	closed  bool
	holder  nameHolder
	mu      sync.Mutex // guards what follows
	placed  []string   // the names of members so far
	nodes   map[string]bool
	disks   map[string]mountable // nil while the disk is being made
}

// storage makes disks of one kind.
type storage interface {
	// newDisk makes an empty disk of a name that is valid and not taken.
	newDisk(ctx context.Context, name string) (mountable, error)
	// user is the user that containers on these disks run as.
	user() string
	// erase removes what the engine does not: the disks that are folders of this machine.
	erase() error
}

// mountable is a disk that a container can mount.
type mountable interface {
	harness.Disk
	mount() mount.Mount
}

// Open makes the run's network and finds out where its disks can lie.
func (r *Runtime) Open(ctx context.Context, run *harness.Run) (_ harness.Site, err error) {
	image, err := r.prepare(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("open site: %w", err)
	}
	s := &site{runtime: r, run: run, image: image.ref, nodes: map[string]bool{}, disks: map[string]mountable{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open site: %w", err), s.Close(ctx, false))
		}
	}()
	if err := os.MkdirAll(s.Scratch(), 0o700); err != nil {
		return nil, fmt.Errorf("make scratch folder: %w", err)
	}
	if err := s.openLink(ctx); err != nil {
		return nil, err
	}
	if err := s.openStorage(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Scratch returns the folder "scratch" of the run.
func (s *site) Scratch() string { return filepath.Join(s.run.WorkDir(), "scratch") }

// Place gives every member a host of its own, because containers on one network are that to each other.
func (s *site) Place(name string) (harness.Place, error) {
	place, err := harness.HostPlaces{DataDir: diskMount + "/" + folder.DataName, FilesDir: filesDir}.Place(name)
	if err != nil {
		return place, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.placed, name) {
		s.placed = append(s.placed, name)
	}
	return place, nil
}

// NewDisk makes a folder or a volume.
func (s *site) NewDisk(ctx context.Context, name string) (harness.Disk, error) {
	if !harness.ValidName(name) {
		return nil, fmt.Errorf("make disk %q: not a valid name", name)
	}
	if err := s.enter(); err != nil {
		return nil, fmt.Errorf("make disk %s: %w", name, err)
	}
	defer s.life.RUnlock()
	s.mu.Lock()
	_, taken := s.disks[name]
	if !taken {
		s.disks[name] = nil
	}
	s.mu.Unlock()
	if taken {
		return nil, fmt.Errorf("make disk %s: the name is taken", name)
	}
	disk, err := s.store.newDisk(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("make disk %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disks[name] = disk
	return disk, nil
}

// NewNode returns a node whose container is made by its first start.
func (s *site) NewNode(ctx context.Context, spec harness.NodeSpec) (harness.Node, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	ref := s.image
	if spec.Version != "" {
		image, err := s.runtime.prepare(ctx, spec.Version)
		if err != nil {
			return nil, fmt.Errorf("make node %s: %w", spec.Name, err)
		}
		ref = image.ref
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nodes[spec.Name] {
		return nil, fmt.Errorf("make node %s: the name is taken", spec.Name)
	}
	for _, disk := range s.disks {
		if disk != nil && harness.Disk(disk) == spec.Disk {
			s.nodes[spec.Name] = true
			return &node{site: s, spec: spec, image: ref, disk: disk}, nil
		}
	}
	return nil, fmt.Errorf("make node %s: its disk is not of this site", spec.Name)
}

// Close removes what carries the run's label, and the disks unless keepDisks is set. It does so even if ctx has ended.
func (s *site) Close(ctx context.Context, keepDisks bool) error {
	s.life.Lock()
	s.closed = true
	s.life.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	what := everything
	if keepDisks {
		what = allButVolumes
	}
	_, err := s.runtime.remove(ctx, s.run.ID(), what)
	if s.store != nil && !keepDisks {
		err = errors.Join(err, s.store.erase())
	}
	if err != nil {
		return fmt.Errorf("close site: %w", err)
	}
	return nil
}

// enter keeps Close waiting until the caller has made what it is about to make and released s.life.
func (s *site) enter() error {
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return errors.New("the site is closed")
	}
	return nil
}

// makingWithin is how long the engine may take to make one thing: far longer than it does, and not for ever.
const makingWithin = time.Minute

// making is the context of a request that makes something. It outlives an interruption: the engine goes on with a request whose
// sender is gone, and what it makes then would come into being after everything has been removed.
func making(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), makingWithin)
}

func (s *site) name(suffix string) string { return "etcd-drill-" + s.run.ID() + "-" + suffix }

// labels returns the run's label and, in pairs, further ones.
func (s *site) labels(more ...map[string]string) map[string]string {
	labels := map[string]string{labelRun: s.run.ID()}
	for _, m := range more {
		maps.Copy(labels, m)
	}
	return labels
}
