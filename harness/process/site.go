package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/folder"
)

// site is the folders and the processes of one run.
type site struct {
	runtime *Runtime
	run     *harness.Run
	root    *folder.Root
	forker  *forker
	record  *record
	life    sync.RWMutex // held for reading while something is made, for writing by Close
	closed  bool
	mu      sync.Mutex // guards what follows
	seats   map[string]seat
	nodes   map[string]*node
	disks   map[string]*disk
}

// disk is a folder of the run.
type disk struct{ *folder.Disk }

var _ harness.Disk = (*disk)(nil)

// CopyTo copies to another disk of the same site.
func (d *disk) CopyTo(ctx context.Context, to harness.Disk) error {
	if other, ok := to.(*disk); ok {
		return d.Disk.CopyTo(ctx, other.Disk)
	}
	return d.Disk.CopyTo(ctx, nil)
}

func newSite(r *Runtime, run *harness.Run) (*site, error) {
	s := &site{
		runtime: r, run: run, forker: newForker(),
		seats: map[string]seat{}, nodes: map[string]*node{}, disks: map[string]*disk{},
	}
	var err error
	for _, dir := range []string{s.Scratch(), s.logs()} {
		err = errors.Join(err, os.MkdirAll(dir, 0o700))
	}
	if err == nil {
		s.root, err = folder.Open(filepath.Join(run.WorkDir(), "disks"))
	}
	if err == nil {
		s.record, err = openRecord(r.recordPath(run.ID()))
	}
	if err != nil {
		s.forker.stop()
		return nil, err
	}
	return s, nil
}

// Scratch returns the folder "scratch" of the run.
func (s *site) Scratch() string { return filepath.Join(s.run.WorkDir(), "scratch") }

func (s *site) logs() string { return filepath.Join(s.run.WorkDir(), "logs") }

// Place gives every member an address of its own, and ports that stay taken until the site is closed.
func (s *site) Place(name string) (harness.Place, error) {
	if !harness.ValidName(name) {
		return harness.Place{}, fmt.Errorf("place member %q: not a valid name", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	taken, known := s.seats[name]
	if !known {
		var err error
		if taken, err = takeSeat(context.Background()); err != nil {
			return harness.Place{}, fmt.Errorf("place member %s: %w", name, err)
		}
		s.seats[name] = taken
	}
	client, peer := "http://"+taken.client.String(), "http://"+taken.peer.String()
	return harness.Place{
		PeerURL: peer, ClientURL: client, ListenPeerURL: peer, ListenClientURL: client,
		DataDir: folder.DataName, FilesDir: filesName, // every member starts in the folder of its disk
	}, nil
}

// NewDisk makes a folder.
func (s *site) NewDisk(_ context.Context, name string) (harness.Disk, error) {
	if !harness.ValidName(name) {
		return nil, fmt.Errorf("make disk %q: not a valid name", name)
	}
	if err := s.enter(); err != nil {
		return nil, fmt.Errorf("make disk %s: %w", name, err)
	}
	defer s.life.RUnlock()
	made, err := s.root.NewDisk(name)
	if err != nil {
		return nil, fmt.Errorf("make disk %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disks[name] = &disk{made}
	return s.disks[name], nil
}

// NewNode returns a node whose process is started by Start.
func (s *site) NewNode(ctx context.Context, spec harness.NodeSpec) (harness.Node, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	program, err := s.runtime.prepare(ctx, spec.Version)
	if err != nil {
		return nil, fmt.Errorf("make node %s: %w", spec.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nodes[spec.Name] != nil {
		return nil, fmt.Errorf("make node %s: the name is taken", spec.Name)
	}
	for _, disk := range s.disks {
		if harness.Disk(disk) == spec.Disk {
			s.nodes[spec.Name] = &node{site: s, spec: spec, program: program.path, disk: disk}
			return s.nodes[spec.Name], nil
		}
	}
	return nil, fmt.Errorf("make node %s: its disk is not of this site", spec.Name)
}

// Assumed says what this site could not make sure of, as harness.Assumer wants it.
func (s *site) Assumed() []string {
	return []string{"members send nothing beyond this machine: they are plain processes, and only their loopback addresses keep them here"}
}

// Close ends every process, gives the ports back, and removes the disks unless keepDisks is set. It does so even if ctx has
// ended.
func (s *site) Close(ctx context.Context, keepDisks bool) error {
	s.life.Lock()
	first := !s.closed
	s.closed = true
	s.life.Unlock()
	_, err := s.endAll(context.WithoutCancel(ctx))
	if first && err == nil {
		s.forker.stop()
		err = errors.Join(s.leave(), s.record.remove())
	}
	err = errors.Join(err, s.removeFiles())
	if !keepDisks {
		err = errors.Join(err, s.root.Erase())
	}
	if err != nil {
		return fmt.Errorf("close site: %w", err)
	}
	s.runtime.mu.Lock()
	defer s.runtime.mu.Unlock()
	delete(s.runtime.sites, s.run.ID())
	return nil
}

// leave gives the ports back.
func (s *site) leave() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, taken := range s.seats {
		err = errors.Join(err, taken.release())
	}
	clear(s.seats)
	return err
}

// removeFiles removes what nodes had beside their data: keys are not kept.
func (s *site) removeFiles() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, disk := range s.disks {
		err = errors.Join(err, disk.removeFiles())
	}
	return err
}

// endAll kills what runs and returns how many processes that were.
func (s *site) endAll(ctx context.Context) (ended int, err error) {
	s.mu.Lock()
	var nodes []*node
	for _, n := range s.nodes {
		nodes = append(nodes, n)
	}
	s.mu.Unlock()
	for _, n := range nodes {
		running, failure := n.end(ctx)
		if running && failure == nil {
			ended++
		}
		err = errors.Join(err, failure)
	}
	return ended, err
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
