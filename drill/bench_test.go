package drill

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/bench"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/dataset"
)

func smallBench() BenchSpec {
	return BenchSpec{
		Sizes: []int64{1 << 20}, Members: []int{1, 3}, Sources: []recovery.Kind{recovery.SavedSnapshot}, Routes: BenchRoutes(),
		Versions: []string{""}, Disks: []BenchDisk{{Name: "ext4", Dir: "/"}}, PageCaches: []string{bench.Warm},
		Data: bench.Data{ValueBytes: 100, Revisions: 1}, Count: 1,
	}
}

func TestTheMatrixHoldsWhatMakesSense(t *testing.T) {
	spec := smallBench()
	spec.Sources = append(spec.Sources, recovery.DBCopy)
	spec.PageCaches = append(spec.PageCaches, bench.Cold)
	var names []string
	run := bench.Run{Header: bench.Header{Matrix: spec.configs()}}
	for _, config := range run.Matrix {
		names = append(names, strings.TrimPrefix(run.Name(config), "Restore/size=1MiB/"))
	}
	slices.Sort(names)
	if want := []string{ // of a single member nothing is restored one by one, and nobody joins it; a survivor has no source
		"members=1/source=db/route=restore/page-cache=cold", "members=1/source=db/route=restore/page-cache=warm",
		"members=1/source=none/route=force-new-cluster/page-cache=cold", "members=1/source=none/route=force-new-cluster/page-cache=warm",
		"members=1/source=snapshot/route=restore/page-cache=cold", "members=1/source=snapshot/route=restore/page-cache=warm",
		"members=3/source=db/route=one-by-one/page-cache=cold", "members=3/source=db/route=one-by-one/page-cache=warm",
		"members=3/source=db/route=restore/page-cache=cold", "members=3/source=db/route=restore/page-cache=warm",
		"members=3/source=db/route=seed/page-cache=cold", "members=3/source=db/route=seed/page-cache=warm",
		"members=3/source=none/route=force-new-cluster/page-cache=cold", "members=3/source=none/route=force-new-cluster/page-cache=warm",
		"members=3/source=snapshot/route=one-by-one/page-cache=cold", "members=3/source=snapshot/route=one-by-one/page-cache=warm",
		"members=3/source=snapshot/route=restore/page-cache=cold", "members=3/source=snapshot/route=restore/page-cache=warm",
		"members=3/source=snapshot/route=seed/page-cache=cold", "members=3/source=snapshot/route=seed/page-cache=warm",
	}; !slices.Equal(names, want) {
		t.Errorf("got\n%s", strings.Join(names, "\n"))
	}
}

func TestABenchmarkOfNothingIsRefused(t *testing.T) {
	if err := smallBench().Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*BenchSpec){
		"no round counts":         func(s *BenchSpec) { s.Count = 0 },
		"no size":                 func(s *BenchSpec) { s.Sizes = nil },
		"too small":               func(s *BenchSpec) { s.Sizes = []int64{4096} },
		"too large":               func(s *BenchSpec) { s.Sizes = []int64{1 << 40} },
		"no member":               func(s *BenchSpec) { s.Members = []int{0} },
		"too many members":        func(s *BenchSpec) { s.Members = []int{10} },
		"an unknown source":       func(s *BenchSpec) { s.Sources = []recovery.Kind{"tape"} },
		"an unknown route":        func(s *BenchSpec) { s.Routes = []BenchRoute{BenchRoute(recovery.RouteReplace)} },
		"no route":                func(s *BenchSpec) { s.Routes = nil },
		"two disks of one name":   func(s *BenchSpec) { s.Disks = append(s.Disks, s.Disks[0]) },
		"an unknown cache":        func(s *BenchSpec) { s.PageCaches = []string{"lukewarm"} },
		"a cold source in memory": func(s *BenchSpec) { s.PageCaches, s.Disks[0].Name = []string{bench.Cold}, tmpfs },
		"values of no length":     func(s *BenchSpec) { s.Data.ValueBytes = -1 },
		"no revision":             func(s *BenchSpec) { s.Data.Revisions = 0 },
	} {
		spec := smallBench()
		spoil(&spec)
		if err := spec.Check(); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestARunOfOtherDataIsNotContinued begins a run on data sets as another program makes them, or on another host.
func TestARunOfOtherDataIsNotContinued(t *testing.T) {
	host, err := thisHost()
	if err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*bench.Header){
		"it was begun on data sets of version 1":   func(h *bench.Header) { h.Data.Version = 1 },
		"it was begun by etcd-drill 0.0.1":         func(h *bench.Header) { h.Tool = "0.0.1" },
		"it was begun on linux/amd64, 99 x":        func(h *bench.Header) { h.Host.OS, h.Host.Arch, h.Host.CPUs = "linux", "amd64", 99 },
		"kernel of yesterday":                      func(h *bench.Header) { h.Host.Kernel = "of yesterday" },
		"it is written in version 9, this program": func(h *bench.Header) { h.SchemaVersion = 9 },
	} {
		header := bench.Header{
			SchemaVersion: bench.SchemaVersion, Tool: "test", Host: host, Data: bench.Data{Version: dataset.Version}, Count: 1,
		}
		spoil(&header)
		store := filepath.Join(t.TempDir(), "bench.jsonl")
		file, err := os.Create(store)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(bench.WriteHeader(file, header), file.Close()); err != nil {
			t.Fatal(err)
		}
		_, err = Bench(t.Context(), BenchSpec{}, BenchOptions{Options: Options{Tool: "test"}, Store: store, Resume: true})
		if !errors.Is(err, ErrNoResume) && !errors.Is(err, bench.ErrSchema) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestADiskIsNamedByItsFileSystemOrByHand(t *testing.T) {
	dir := t.TempDir()
	system, err := fileSystem(dir)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]BenchDisk{
		"real": {system, dir}, dir: {system, dir}, "fast=" + dir: {"fast", dir}, "fast=real": {"fast", dir},
	} {
		if got, err := NewBenchDisk(text, dir); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{file, filepath.Join(dir, "nowhere"), "a/b=" + dir, "a b=" + dir} {
		if got, err := NewBenchDisk(text, dir); !errors.Is(err, ErrUsage) {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
}

func TestTooLittleDiskIsSaidWithTheBytes(t *testing.T) {
	dir := t.TempDir()
	if err := checkRooms(map[string]*roomOf{dir: {what: "little", bytes: 4096, widest: 4096}}); err != nil {
		t.Error(err)
	}
	// Two folders of one file system share its room, and one that is not there yet lies on that above it.
	free := int64(1) << 62
	err := checkRooms(map[string]*roomOf{
		dir: {what: "one", widest: free}, filepath.Join(dir, "a", "b"): {what: "other", bytes: free / 2},
	})
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "6917529027641081856 are needed") ||
		!strings.Contains(err.Error(), "one in ") || !strings.Contains(err.Error(), "other in ") {
		t.Errorf("got %v", err)
	}
}

func TestEveryRouteNeedsRoomForItsDatabases(t *testing.T) {
	for route, least := range map[BenchRoute]int64{BenchRestore: 4, BenchOneByOne: 5, BenchSeed: 7, BenchForce: 7} {
		config := bench.Config{SizeBytes: 1 << 30, Members: 3, Route: string(route)}
		if need := benchNeedBytes(config); need < least<<30 || need > (least+1)<<30 {
			t.Errorf("%s: %d bytes, want about %d GiB", route, need, least)
		}
	}
}

func TestLapsOfOneNameAreAddedUp(t *testing.T) {
	begin := time.Now()
	lap := func(name recovery.LapName, after, took time.Duration, bytes int64) recovery.Lap {
		return recovery.Lap{Name: name, Start: begin.Add(after), Took: took, Bytes: bytes}
	}
	got := lapPhases([]recovery.Lap{
		lap(recovery.LapCopy, 1, 10, 100), lap(recovery.LapHash, 2, 20, 100),
		lap(recovery.LapCopy, 30, 11, 100), lap(recovery.LapHash, 31, 21, 100),
	}, begin)
	want := []bench.Phase{
		{Name: "restore-copy", After: 1, Took: 21, Bytes: 200}, {Name: "restore-hash", After: 2, Took: 41, Bytes: 200},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}
