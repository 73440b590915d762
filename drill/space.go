package drill

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrNoSpace marks a folder whose file system is too small for the drill.
var ErrNoSpace = errors.New("too little free space")

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

// checkSpace returns an error that wraps ErrNoSpace, with the figures and the way out, before anything is started that
// would end in the middle for want of space.
func checkSpace(dir string, spec Spec) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return fmt.Errorf("measure free space of %s: %w", dir, err)
	}
	free, need := stat.Bavail*uint64(stat.Bsize), spec.needBytes()
	if free >= need {
		return nil
	}
	return fmt.Errorf("%w: %s has %d MiB free, a drill of %d members and %d keys of %d bytes needs up to %d MiB; "+
		"free some, name a folder on another file system with --out, or rehearse with fewer --members or --keys",
		ErrNoSpace, dir, free>>20, spec.Members, spec.Keys, spec.ValueBytes, need>>20)
}
