// Package harness holds the nouns of a drill: a Cluster and its Members, the Layout that decides their IDs, the Run that owns
// everything outside the process, and the Runtime seam behind which members run.
//
// It knows how to reach a member and to ask how it is. It must not know engines, faults, backups or what a drill is for.
package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Runtime is the seam between the harness and whatever runs etcd: an engine, plain processes, memory. An implementation
// passes harness/runtimetest. It is honest about remote engines: nothing here assumes that a path of this machine means
// anything to the engine, or that a member's image has a shell.
type Runtime interface {
	// Name is the word that --runtime takes, for example "docker".
	Name() string
	// Prepare makes an etcd of this version available (an image, a binary) and tells what it found: "3.6.16", "3.6" for the
	// one of that minor that is pinned, or empty for the runtime's default, which is what a user named if he named one. It is
	// idempotent, and safe to call from several goroutines. Long work is reported through the progress function that the
	// runtime was built with.
	Prepare(ctx context.Context, version string) (Prepared, error)
	// Abilities tells what the runtime can do to a node, with the reason for everything that it cannot.
	Abilities(ctx context.Context) (Abilities, error)
	// Open makes the place where the members of one run live. The run's record learns of every resource before it exists,
	// so that a harness that dies half-way leaves nothing that Sweep cannot find.
	Open(ctx context.Context, run *Run) (Site, error)
	// Sweep removes everything that the run with this ID left behind and returns how many things it removed. Nothing left is
	// no error. It never touches what does not carry the run's ID.
	Sweep(ctx context.Context, runID string) (removed int, err error)
}

// Site is the place where the members of one run live: a network and a folder, or their likes. It is safe for concurrent use.
type Site interface {
	// Place returns the addresses under which the member of this name is known. They depend on the name alone and stay the
	// same for the life of the site, so that a restored member takes over the URLs of the lost one.
	Place(name string) (Place, error)
	// NewDisk returns an empty disk. The name is unique in the site.
	NewDisk(ctx context.Context, name string) (Disk, error)
	// NewNode returns a node that is not yet started. It fails with an error that names the node if the name is taken. A
	// version that was not prepared yet is prepared now, which can take minutes.
	NewNode(ctx context.Context, spec NodeSpec) (Node, error)
	// Scratch returns a folder of this machine, below the run's own, from which Disk.Adopt is cheapest.
	Scratch() string
	// Close removes every node, disk and network of the site. It is idempotent and joins its errors. Unless keepDisks is
	// set, the data goes too.
	Close(ctx context.Context, keepDisks bool) error
}

// Assumer is what a Site can be beside: one that says what it could not make sure of, a sentence each, for the report.
type Assumer interface {
	Assumed() []string
}

// Place holds a member's addresses.
type Place struct {
	PeerURL         string // what other members dial; part of the member's identity
	ClientURL       string // what the member advertises to clients
	ListenPeerURL   string
	ListenClientURL string
	DataDir         string // where the member finds its disk's data directory; relative paths begin where its process starts
	FilesDir        string // where it finds the files of its NodeSpec
	// SeparateWAL has the member keep its write-ahead log in WALDir instead of below member/ of the data directory.
	SeparateWAL bool
}

// NodeSpec says what to run.
type NodeSpec struct {
	// Name is unique in the site and appears in the names of containers and log files.
	Name string
	// Hostname is the network name under which other nodes of the site reach this one; empty for none.
	Hostname string
	// Disk is the node's only writable storage.
	Disk Disk
	// Files are small files for the node to read, by their names: certificates, keys. It finds them in the FilesDir of every
	// place of its site. Nobody else can read them, and they go when the site is closed, even if the disks stay.
	Files map[string][]byte
	// Args are etcd's command-line flags, without the program.
	Args []string
	// Version is the version of etcd to run, as Runtime.Prepare takes it.
	Version string
}

// Check refuses names that cannot be those of a node and of its files, which every runtime does before it makes the node.
func (s NodeSpec) Check() error {
	if !ValidName(s.Name) {
		return fmt.Errorf("make node %q: not a valid name", s.Name)
	}
	for file := range s.Files {
		if !ValidName(file) {
			return fmt.Errorf("make node %s: %q is not a valid name of a file", s.Name, file)
		}
	}
	return nil
}

// Node is one etcd process, or the container around it. A stopped node can be started again, on the same disk, as often as
// wanted; its address may change with every start.
type Node interface {
	// Start returns when the process was started; it says nothing about readiness.
	Start(ctx context.Context) error
	// Signal delivers the signal. For Kill and Terminate it does not wait for the exit (see Wait); Kill also ends a frozen node.
	// It returns an error wrapping ErrUnsupported if the runtime cannot deliver this signal.
	Signal(ctx context.Context, s Signal) error
	// Wait returns when the process has ended, with how it ended. On a node that was never started it fails with
	// ErrNeverStarted.
	Wait(ctx context.Context) (Exit, error)
	// Endpoint returns the addresses at which this machine reaches the running node. They must be read anew after every start.
	Endpoint(ctx context.Context) (Endpoint, error)
	// Logs returns everything that the node has printed since it was created, over all its starts. On a node that was never
	// started it fails with ErrNeverStarted.
	Logs(ctx context.Context) (io.ReadCloser, error)
}

// Disk is a member's storage. Its data directory is called "data" and is what etcd's --data-dir points at. Every operation
// needs the node on the disk to be stopped; none of them follows a path out of the disk.
type Disk interface {
	// Fetch writes the content of one file, named relative to the data directory, to w. A file that is not there is an error
	// wrapping fs.ErrNotExist.
	Fetch(ctx context.Context, path string, w io.Writer) error
	// Adopt makes a prepared folder of this machine the disk's data directory. The disk must have none. The folder is moved
	// or copied; afterwards it belongs to the disk. If Adopt fails the disk has no data directory.
	Adopt(ctx context.Context, dir string) error
	// CopyTo copies the data directory to another, empty, disk of the same site.
	CopyTo(ctx context.Context, to Disk) error
	// Erase destroys the data directory. A disk without one is no error.
	Erase(ctx context.Context) error
}

// Unlinker is what a Disk can be beside: one whose data directory can be deleted under the process that works in it, as a
// person does who is on the wrong machine.
type Unlinker interface {
	// Unlink removes every file of the data directory, while a node runs on it or not. A process keeps those that it has open.
	Unlink(ctx context.Context) error
}

// Gauge is what a Node can be beside: one whose process can be measured.
type Gauge interface {
	// Usage tells what the running process has taken since it was started. On a node that does not run it fails.
	Usage(ctx context.Context) (Usage, error)
}

// Usage is what a process has taken.
type Usage struct {
	CPU time.Duration // of user and kernel, over all its threads
	// PeakRSSBytes is the most memory that it had resident, mapped pages of files included; 0 where it is not known.
	PeakRSSBytes int64
}

// Endpoint holds the addresses at which this machine reaches a node, as URLs.
type Endpoint struct {
	Client string
	Peer   string
}

// Prepared tells which etcd a runtime will run and where it comes from.
type Prepared struct {
	// Version is what etcd itself printed, for example "3.7.3".
	Version string
	// Origin says in a few words where etcd comes from: "found on the engine", "built from module source in 1m52s".
	Origin string
	// Engine describes the runtime itself, for example "docker 20.10.24".
	Engine string
}

// Abilities tells what a runtime can do to a node; nil means that it can, an error wrapping ErrUnsupported says why not.
type Abilities struct {
	Freeze error
	// Local is set if members are known to take the memory of this machine.
	Local bool
}

// Signal is what can be done to a running node.
type Signal string

// The signals. Terminate asks etcd to stop, which flushes its backend; Kill gives it no chance to.
const (
	Terminate Signal = "terminate"
	Kill      Signal = "kill"
	Freeze    Signal = "freeze"
	Thaw      Signal = "thaw"
)

// Exit tells how a node's process ended.
type Exit struct {
	Code int       `json:"code"`
	OOM  bool      `json:"oom,omitempty"` // the kernel killed it for its memory; otherwise indistinguishable from Kill
	At   time.Time `json:"at"`            // by the runtime's clock
}

// ErrUnsupported marks what a runtime or a fault cannot do here. The message carries the reason; callers skip by name and
// count the skip, they never weaken the check.
var ErrUnsupported = errors.New("not supported here")

// ErrNeverStarted marks what only a node can answer that was started at least once.
var ErrNeverStarted = errors.New("the node was never started")

// Unsupported returns an error that wraps ErrUnsupported and gives the reason.
func Unsupported(reason string) error { return fmt.Errorf("%w: %s", ErrUnsupported, reason) }
