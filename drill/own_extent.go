package drill

import (
	"fmt"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// Reading says of how many members of a restored backup the keys are read. HashKV is asked of all in any case.
type Reading string

const (
	// ReadAuto reads every member of a backup that is not large, and one of a large one.
	ReadAuto Reading = ""
	// ReadAll reads every member.
	ReadAll Reading = "all"
	// ReadOne reads one member.
	ReadOne Reading = "one"
)

// The sizes up to which members of a restored backup show more than one of them, and more than their keys. A history is sent by
// etcd in a time that grows with the square of its length.
const (
	wholeRecords = 20_000
	wholeBytes   = 64 << 20
	readAllBytes = 256 << 20
)

func (r Reading) check() error {
	if r != ReadAuto && r != ReadAll && r != ReadOne {
		return fmt.Errorf("unknown --read %q: choose %s or %s", string(r), ReadAll, ReadOne)
	}
	return nil
}

// extentOf is how much is read of this member, counted from 0.
func (d *Drill) extentOf(i int) verify.Extent {
	if d.own == nil {
		return verify.Everything
	}
	source, reading := d.own.source, d.spec.Own.Read
	all := reading == ReadAll || reading == ReadAuto && source.SizeBytes <= readAllBytes
	switch {
	case i > 0 && !all:
		return verify.HashOnly
	case source.Records > wholeRecords || source.SizeBytes > wholeBytes:
		return verify.KeysOnly
	}
	return verify.Everything
}
