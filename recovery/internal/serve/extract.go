package serve

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// extract is the worker's part of offline.Extract. The source is read in its place, and hashed afterwards: what was read is what has
// that digest, or somebody changed it and back again meanwhile.
func (j *job) extract(ctx context.Context, task wire.ExtractTask) (_ *recovery.Contents, err error) {
	x := newExtraction(task)
	defer func() { err = errors.Join(err, x.scratch.close()) }()
	failed := survived(func() error { return x.all(ctx) })
	if err := verifySource(ctx, task.Source); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, blame(task.Source.Path, failed)
	}
	return &x.contents, nil
}

// extraction reads a database in one walk over its records, and sorts outside of memory what must come in another order: its own
// memory does not grow with the database.
type extraction struct {
	task     wire.ExtractTask
	contents recovery.Contents
	digest   func([]byte) string
	cover    func(ledger.Key) ledger.Key
	scratch  *spills
	editions *ledger.Sorter[edition] // of every key
	names    *ledger.Sorter[ledger.Key]
	census   objectCensus
	attached map[int64][]ledger.Key // the live keys that carry a lease
	hash     *kvHash
}

// edition is one record of a key on its way through a Sorter, without its value.
type edition struct {
	Name           ledger.Key // as it is written
	Key            ledger.Key // as it is, where names are hidden; empty otherwise
	Rev, Sub       int64
	Gone           bool // a tombstone
	Digest         string
	Create, Mod    int64
	Version, Lease int64
	Resource       string // of an API server; empty for none
	Provider       string
	FromAPIServer  bool
}

func newExtraction(task wire.ExtractTask) *extraction {
	x := &extraction{
		task: task, digest: ledger.Digester(task.DigestKey), cover: task.Coverer(), attached: map[int64][]ledger.Key{},
		scratch: &spills{dir: task.Scratch},
	}
	x.editions = ledger.NewSorter(func(a, b edition) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Rev, b.Rev), cmp.Compare(a.Sub, b.Sub))
	}, x.scratch.next)
	x.names = ledger.NewSorter(cmp.Compare[ledger.Key], x.scratch.next)
	x.hash = newKVHash(task, x.scratch.next)
	if task.Cover {
		x.census.cover = x.cover
	}
	if len(task.Beat) > 0 {
		x.contents.Beat = absentBeat()
	}
	return x
}

func (x *extraction) all(ctx context.Context) error {
	path := filepath.Join(x.task.Scratch, "core")
	rest, err := newCore(path)
	if err != nil {
		return err
	}
	err = x.readHistory(ctx, rest)
	if err := errors.Join(err, rest.close(err == nil)); err != nil {
		return err
	}
	if err := x.writeKeyspace(); err != nil {
		return err
	}
	if x.task.State != "" {
		err := viewDatabase(path, func(tx *bolt.Tx) error { return writeState(tx, x.task, x.attached, &x.contents) })
		if err != nil {
			return err
		}
	}
	return x.hash.finish(ctx, x.task.Source.Path, &x.contents)
}

// readHistory walks over all records, writes those above the compaction point, and keeps the rest of the database.
func (x *extraction) readHistory(ctx context.Context, rest *core) error {
	return writeLines(x.task.History, &x.contents.Records, func(write func(ledger.Record) error) error {
		return readRecords(ctx, x.task.Source.Path, rest, func(r rawRecord) error {
			x.hash.take(r)
			v := x.editionOf(r)
			if err := x.editions.Add(v); err != nil {
				return err
			}
			if r.rev.Main <= x.task.Compacted {
				return nil
			}
			record := ledger.Record{Rev: v.Rev, Sub: v.Sub, Key: v.Name, Delete: v.Gone}
			if !v.Gone {
				record.Digest, record.Create, record.Mod, record.Version, record.Lease = v.Digest, v.Create, v.Mod, v.Version, v.Lease
			}
			return write(record)
		})
	})
}

// editionOf takes of a record what is needed when its value is out of reach.
func (x *extraction) editionOf(r rawRecord) edition {
	key := ledger.Key(r.kv.Key)
	v := edition{Name: x.cover(key), Rev: r.rev.Main, Sub: r.rev.Sub, Gone: r.tombstone}
	if x.task.Cover {
		v.Key = key
	}
	if len(x.task.Beat) > 0 && string(key) == string(x.task.Beat) { // the last one counts
		x.contents.Beat = absentBeat()
		if !r.tombstone {
			x.contents.Beat = beatOf(r.kv.Value)
		}
	}
	if r.tombstone {
		return v
	}
	v.Digest, v.Create, v.Mod, v.Version, v.Lease = x.digest(r.kv.Value), r.kv.CreateRevision, r.kv.ModRevision, r.kv.Version, r.kv.Lease
	v.Resource, v.Provider, v.FromAPIServer = objectOf(string(key), r.kv.Value)
	return v
}

// writeKeyspace writes the keys whose last record is no tombstone. No record lies above the restore point.
func (x *extraction) writeKeyspace() error {
	editions, err := x.editions.Sorted()
	if err != nil {
		return err
	}
	err = writeLines(x.task.Keyspace, &x.contents.Keys, func(write func(ledger.Pair) error) error {
		var last edition
		begun := false
		for v, err := range editions {
			if err != nil {
				return err
			}
			if begun && v.Name != last.Name {
				if err := x.writeLive(last, write); err != nil {
					return err
				}
			}
			last, begun = v, true
		}
		if begun {
			return x.writeLive(last, write)
		}
		return nil
	})
	if err != nil {
		return err
	}
	x.contents.Kubernetes = x.census.result()
	x.contents.KeyNames, err = digestNames(x.names)
	return err
}

// writeLive writes the last record of a key if the key is there.
func (x *extraction) writeLive(v edition, write func(ledger.Pair) error) error {
	if v.Gone {
		return nil
	}
	key := v.Name
	if x.task.Cover {
		key = v.Key
	}
	if key == "" { // the placeholder of a bumped revision, which a later one replaces
		return x.hash.keepPlaceholder(v.Rev, v.Sub)
	}
	if err := x.hash.keep(v.Rev, v.Sub); err != nil {
		return err
	}
	if v.Lease != 0 {
		x.attached[v.Lease] = append(x.attached[v.Lease], v.Name)
	}
	x.census.count(v.Resource, v.Provider, v.FromAPIServer)
	if err := x.names.Add(key); err != nil {
		return err
	}
	return write(ledger.Pair{Key: v.Name, Digest: v.Digest, Create: v.Create, Mod: v.Mod, Version: v.Version, Lease: v.Lease})
}

// digestNames is the digest over the names of keys, see recovery.Contents.KeyNames.
func digestNames(names *ledger.Sorter[ledger.Key]) (string, error) {
	sorted, err := names.Sorted()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for key, err := range sorted {
		if err != nil {
			return "", err
		}
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(key))))
		sum.Write([]byte(key))
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// spills makes files for what is sorted outside of memory, in a folder that the parent removes.
type spills struct {
	dir   string
	files []*os.File
}

func (s *spills) next() (ledger.Spill, error) {
	file, err := os.OpenFile(filepath.Join(s.dir, fmt.Sprintf("spill-%d", len(s.files))), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	s.files = append(s.files, file)
	return file, nil
}

func (s *spills) close() error {
	var failures []error
	for _, file := range s.files {
		failures = append(failures, file.Close())
	}
	return errors.Join(failures...)
}

// writeLines makes a new stream of evidence and counts its values.
func writeLines[T ledger.Record | ledger.Pair | ledger.Lease](path string, count *int64, produce func(write func(T) error) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	lines := ledger.NewLineWriter[T](file)
	err = produce(func(value T) error {
		*count++
		return lines.Append(value)
	})
	if err == nil {
		err = lines.End()
	}
	return errors.Join(err, file.Sync(), file.Close())
}
