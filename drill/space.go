package drill

import (
	"context"
	"fmt"

	"github.com/shirou/gopsutil/v4/mem"
	"golang.org/x/sys/unix"

	"github.com/etcd-drill/etcd-drill/recovery"
)

// ErrNoSpace marks a file system, or a machine, that is too small for the drill.
var ErrNoSpace = recovery.ErrNoSpace

// What a member of one generation takes beside its data: etcd allocates a segment of the write-ahead log in full, and the
// next one in advance (server/storage/wal: SegmentSizeBytes, filePipeline).
const (
	walBytes      = 64 << 20
	pipelineBytes = 64 << 20
)

// dataFactor is how often a value lies on a member's disk at the peak: in the log, in the database, and in what the load
// writes over while the database only grows.
const dataFactor = 3

// generations is how many data directories a member has: the lost one stays beside the restored one, for the fence.
const generations = 2

// needBytes estimates from above what the drill takes in its folder. Where the engine keeps the members' disks elsewhere it
// takes less.
func (s Spec) needBytes() uint64 {
	members, data := uint64(s.Members), uint64(s.Keys)*uint64(s.ValueBytes)*dataFactor
	disks := members * generations * (walBytes + pipelineBytes + data)
	sources := (members + 2) * data // the source, the copy that is being checked, and one copy for each member's restore
	return disks + sources
}

// What a member's process, and the harness with its workers, take at the peak of the default drill: 57 and 104 MiB were
// measured, and are rounded up.
const (
	memberBytes  = 96 << 20
	harnessBytes = 160 << 20
)

// needMemoryBytes estimates from above what a drill's processes take: the members, one old member beside the new ones, and
// what the load puts into each of them.
func (s Spec) needMemoryBytes() uint64 {
	processes, data := uint64(s.Members)+1, uint64(s.Keys)*uint64(s.ValueBytes)*dataFactor
	return harnessBytes + processes*(memberBytes+data)
}

// Room is what a drill takes and what there is for it.
type Room struct {
	DiskFreeBytes, DiskNeedBytes     uint64 // in the folder of drills
	MemoryFreeBytes, MemoryNeedBytes uint64 // of this machine
}

// MeasureRoom measures this machine, and the file system of a folder that is there, for a drill that follows the spec.
func MeasureRoom(dir string, spec Spec) (Room, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return Room{}, fmt.Errorf("measure free space of %s: %w", dir, err)
	}
	memory, err := mem.VirtualMemory()
	if err != nil {
		return Room{}, fmt.Errorf("measure free memory: %w", err)
	}
	return Room{
		DiskFreeBytes: stat.Bavail * uint64(stat.Bsize), DiskNeedBytes: spec.needBytes(),
		MemoryFreeBytes: memory.Available, MemoryNeedBytes: spec.needMemoryBytes(),
	}, nil
}

// checkRoom returns an error that wraps ErrNoSpace, with the figures and the way out, before anything is started that would
// end in the middle for want of space, or of memory where members run on this machine.
func checkRoom(dir string, spec Spec, local bool) error {
	room, err := MeasureRoom(dir, spec)
	if err != nil {
		return err
	}
	return room.check(dir, spec, local)
}

// What a key takes: of a member's memory, for its index, and of the evidence that each member leaves, for its lines.
const (
	indexBytes = 300
	linesBytes = 500
)

// checkOwnRoom is checkRoom for a backup of somebody's own, which is there already.
func (d *Drill) checkOwnRoom(ctx context.Context) error {
	abilities, err := d.opts.Runtime.Abilities(ctx)
	if err != nil {
		return err
	}
	room, err := MeasureRoom(string(d.folder), d.spec)
	if err != nil {
		return err
	}
	members, size, records := uint64(d.spec.Members), uint64(d.own.source.SizeBytes), uint64(d.own.source.Records)
	// The copy that the backup was checked on is there already, and becomes the first member's.
	room.DiskNeedBytes = members*(2*size+walBytes+pipelineBytes) - size + (members+1)*records*linesBytes
	room.MemoryNeedBytes = harnessBytes + members*(memberBytes+uint64(d.own.source.Keys)*indexBytes)
	if room.DiskFreeBytes < room.DiskNeedBytes {
		return fmt.Errorf("%w: %s has %d MiB free, a drill of %d members and a backup of %d MiB needs up to %d MiB; "+
			"free some, name a folder on another file system with --out, or drill fewer --members",
			ErrNoSpace, d.folder, room.DiskFreeBytes>>20, members, size>>20, room.DiskNeedBytes>>20)
	}
	if abilities.Local && room.MemoryFreeBytes < room.MemoryNeedBytes {
		return fmt.Errorf("%w: this machine has %d MiB of memory free, a drill of %d members and a backup of %d keys needs up to %d MiB; "+
			"free some, or drill fewer --members", ErrNoSpace, room.MemoryFreeBytes>>20, members, d.own.source.Keys, room.MemoryNeedBytes>>20)
	}
	return nil
}

func (r Room) check(dir string, spec Spec, local bool) error {
	size := fmt.Sprintf("a drill of %d members and %d keys of %d bytes needs up to", spec.Members, spec.Keys, spec.ValueBytes)
	if r.DiskFreeBytes < r.DiskNeedBytes {
		return fmt.Errorf("%w: %s has %d MiB free, %s %d MiB; "+
			"free some, name a folder on another file system with --out, or rehearse with fewer --members or --keys",
			ErrNoSpace, dir, r.DiskFreeBytes>>20, size, r.DiskNeedBytes>>20)
	}
	if local && r.MemoryFreeBytes < r.MemoryNeedBytes {
		return fmt.Errorf("%w: this machine has %d MiB of memory free, %s %d MiB; "+
			"free some, or rehearse with fewer --members or --keys",
			ErrNoSpace, r.MemoryFreeBytes>>20, size, r.MemoryNeedBytes>>20)
	}
	return nil
}
