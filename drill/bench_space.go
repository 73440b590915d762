package drill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/etcd-drill/etcd-drill/internal/bench"
	"github.com/etcd-drill/etcd-drill/recovery/dataset"
)

// benchNeedBytes is what a measurement takes on its disk at the peak: the fetched source, the copy from which it is checked or those
// from which members are restored, the members, their logs, and, where members join, what they receive before it becomes theirs.
func benchNeedBytes(config bench.Config) int64 {
	size, members := config.SizeBytes+32<<20, int64(config.Members)
	logs := members * (walBytes + pipelineBytes)
	switch BenchRoute(config.Route) {
	case BenchSeed:
		return size*(1+2+2*(members-1)) + logs
	case BenchForce:
		return size*(max(members, 2)+2*(members-1)) + 2*logs
	case BenchOneByOne:
		return size*(1+members+1) + logs
	default:
		return size*(1+max(members, 2)) + logs
	}
}

// benchMemoryBytes is what a measurement takes of this machine's memory where members run on it.
func benchMemoryBytes(config bench.Config, keys int64) uint64 {
	return harnessBytes + uint64(config.Members)*(memberBytes+uint64(keys)*indexBytes)
}

// checkRoom returns an error wrapping ErrNoSpace if the matrix does not fit on a disk, in the cache or in memory, with the figures.
// What the widest configuration takes is enough: one is measured after the other.
func (b *benching) checkRoom(ctx context.Context) error {
	needs := map[string]*roomOf{b.opts.Cache: {what: "the data sets"}}
	needs[b.opts.Cache].bytes = b.cacheNeedBytes()
	memory, err := MeasureRoom(".", Spec{})
	if err != nil {
		return err
	}
	for _, config := range b.run.Matrix {
		dir, need := b.run.Places[config.Disk], benchNeedBytes(config)
		room := needs[dir]
		if room == nil {
			room = &roomOf{}
			needs[dir] = room
		}
		if need > room.widest {
			room.widest, room.what = need, "the matrix, for "+config.String()
		}
		abilities, err := b.runtimes[config.Runtime].Abilities(ctx)
		if err != nil {
			return err
		}
		inMemory := uint64(0)
		if config.Disk == tmpfs {
			inMemory = uint64(need)
		}
		if abilities.Local {
			inMemory += benchMemoryBytes(config, b.setKey(config).spec.Keys())
		}
		if inMemory > memory.MemoryFreeBytes {
			return fmt.Errorf("%w: this machine has %d bytes of memory free, %s needs up to %d; "+
				"free some, or measure smaller --sizes or fewer --members", ErrNoSpace, memory.MemoryFreeBytes, config, inMemory)
		}
	}
	return checkRooms(needs)
}

// roomOf is what is needed in a folder.
type roomOf struct {
	what          string
	bytes, widest int64
}

// checkRooms adds up what is needed in folders of the same file system.
func checkRooms(needs map[string]*roomOf) error {
	total, what, free := map[uint64]int64{}, map[uint64]string{}, map[uint64]int64{}
	for dir, room := range needs {
		existing := nearestFolder(dir)
		var file unix.Stat_t
		var system unix.Statfs_t
		if err := unix.Stat(existing, &file); err != nil {
			return fmt.Errorf("measure free space of %s: %w", existing, err)
		}
		if err := unix.Statfs(existing, &system); err != nil {
			return fmt.Errorf("measure free space of %s: %w", existing, err)
		}
		device := uint64(file.Dev) //nolint:unconvert // it is another type on other systems
		total[device] += room.bytes + room.widest
		free[device] = int64(system.Bavail) * int64(system.Bsize) //nolint:unconvert // they are other types on other systems
		if what[device] != "" {
			what[device] += " and "
		}
		what[device] += room.what + " in " + dir
	}
	for device, need := range total {
		if need > free[device] {
			return fmt.Errorf("%w: %d bytes are free, %d are needed for %s; "+
				"free some, choose another --disk, or measure smaller --sizes or fewer --members", ErrNoSpace, free[device], need, what[device])
		}
	}
	return nil
}

// nearestFolder is the folder, or the one above it that is there.
func nearestFolder(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

func (b *benching) cacheNeedBytes() int64 {
	var need int64
	seen := map[setKey]bool{}
	for _, config := range b.run.Matrix {
		key := b.setKey(config)
		if !seen[key] {
			seen[key] = true
			need += (dataset.Cache{Dir: b.opts.Cache}).NeedBytes(key.spec, key.form)
		}
	}
	return need
}
