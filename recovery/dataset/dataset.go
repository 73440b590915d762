package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// Set is a data set in the cache.
type Set struct {
	Spec      Spec   `json:"spec"`
	Form      Form   `json:"form"`
	Path      string `json:"-"` // of the file; nobody may change it
	SizeBytes int64  `json:"sizeBytes"`
	SHA256    string `json:"sha256"` // of the whole file, in hexadecimal
	Keys      int64  `json:"keys"`
	Records   int64  `json:"records"`
	Revision  int64  `json:"revision"` // that a server reports on it
	// Builder is what made it; the sets of another one are made again.
	Builder int `json:"builder"`
}

// Version grows when the same Spec makes another file than before: sets of two versions are not the same.
const Version = 2

// Cache is a folder in which data sets are kept. Several programs may use it at once.
type Cache struct {
	Dir string
	// Progress receives lines for a person while something takes long; nil for none.
	Progress func(string)
}

// In is the folder for data sets in a user's cache of other things.
func In(cache string) string { return filepath.Join(cache, "datasets") }

// Get returns the data set, from the cache or made now. What is in the cache is read and held against the digest that was noted
// when it was made; a set that has changed is made again, which Progress is told. It takes memory for a few MiB of values,
// whatever the size, and room for the file twice while it is made. A context that ends leaves nothing but what the next call
// removes.
func (c Cache) Get(ctx context.Context, spec Spec, form Form) (Set, error) {
	set, err := c.get(ctx, spec, form)
	if err != nil {
		return Set{}, fmt.Errorf("data set of %d MiB: %w", spec.SizeBytes>>20, err)
	}
	return set, nil
}

func (c Cache) get(ctx context.Context, spec Spec, form Form) (set Set, err error) {
	if err := spec.Check(); err != nil {
		return Set{}, err
	}
	if form != Snapshot && form != Database {
		return Set{}, fmt.Errorf("%w: unknown form %q; it is %q or %q", ErrBadSpec, form, Snapshot, Database)
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return Set{}, fmt.Errorf("make cache folder: %w", err)
	}
	unlock, err := c.lock()
	if err != nil {
		return Set{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	set, err = c.look(ctx, spec, form)
	if err == nil {
		return set, nil
	}
	if ctx.Err() != nil {
		return Set{}, context.Cause(ctx)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		c.Progress(fmt.Sprintf("data set of %d MiB is made again: %v", spec.SizeBytes>>20, err))
	}
	return c.make(ctx, spec, form)
}

// NeedBytes is the room that Get will take in the cache for a while: none for a data set that seems to be there.
func (c Cache) NeedBytes(spec Spec, form Form) int64 {
	if info, err := os.Stat(c.path(spec, form)); err == nil && info.Size() > 0 {
		return 0
	}
	return 2*spec.SizeBytes + 64<<20
}

// lock waits for others that look or make: two would make the same at once.
func (c Cache) lock() (unlock func() error, err error) {
	file, err := os.OpenFile(filepath.Join(c.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock cache: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock cache: %w", err), file.Close())
	}
	return file.Close, nil
}

// path names the file of a data set; its manifest lies beside it.
func (c Cache) path(spec Spec, form Form) string {
	return filepath.Join(c.Dir, fmt.Sprintf("etcd%s-%d-value%d-revisions%d-leases%d-seed%d.%s",
		spec.minor(), spec.SizeBytes, spec.ValueBytes, spec.Revisions, spec.Leases, spec.Seed, form))
}

func manifestOf(path string) string { return path + ".json" }

// errDamaged means that a file of the cache is not what was put there.
var errDamaged = errors.New("it has changed in the cache")

// look returns what the cache holds. Nothing there is fs.ErrNotExist.
func (c Cache) look(ctx context.Context, spec Spec, form Form) (Set, error) {
	path := c.path(spec, form)
	text, err := os.ReadFile(manifestOf(path))
	if err != nil {
		return Set{}, err
	}
	var set Set
	if err := json.Unmarshal(text, &set); err != nil || set.Spec != spec || set.Form != form {
		return Set{}, fmt.Errorf("%w: its manifest is that of another", errDamaged)
	}
	if set.Builder != Version {
		return Set{}, fmt.Errorf("it was made by builder %d, this is %d", set.Builder, Version)
	}
	size, sum, err := digest(ctx, path)
	if err != nil {
		return Set{}, err
	}
	if size != set.SizeBytes || sum != set.SHA256 {
		return Set{}, fmt.Errorf("%w: %d bytes of SHA-256 %s, should be %d of %s", errDamaged, size, sum, set.SizeBytes, set.SHA256)
	}
	set.Path = path
	return set, nil
}

// stagingPattern names the folders in which data sets are made. Whoever holds the lock may remove them.
const stagingPattern = ".making-*"

func (c Cache) make(ctx context.Context, spec Spec, form Form) (set Set, err error) {
	if err := c.removeStaging(); err != nil {
		return Set{}, err
	}
	dir, err := os.MkdirTemp(c.Dir, stagingPattern)
	if err != nil {
		return Set{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	made := filepath.Join(dir, "db")
	if err := write(ctx, spec, originOf(spec.minor()), made, c.tell(spec)); err != nil {
		return Set{}, fmt.Errorf("make: %w", err)
	}
	set = Set{
		Spec: spec, Form: form, Path: c.path(spec, form), Builder: Version,
		Keys: spec.Keys(), Records: spec.Records(), Revision: spec.Revision(),
	}
	if form == Snapshot {
		snapshot := filepath.Join(dir, "snapshot")
		if err := saveSnapshot(ctx, made, snapshot); err != nil {
			return Set{}, fmt.Errorf("save snapshot: %w", err)
		}
		made = snapshot
	}
	if set.SizeBytes, set.SHA256, err = digest(ctx, made); err != nil {
		return Set{}, err
	}
	return set, set.publish(made)
}

// tell says how far the making has come, now and then.
func (c Cache) tell(spec Spec) func(done, of int64) {
	told := int64(0)
	return func(done, of int64) {
		if percent := 100 * done / of; percent >= told+5 {
			told = percent
			c.Progress(fmt.Sprintf("making data set of %d MiB, once for all: %d %%", spec.SizeBytes>>20, percent))
		}
	}
}

// publish puts the file in place, and its manifest last.
func (set Set) publish(made string) error {
	text, err := json.MarshalIndent(set, "", "  ")
	if err != nil {
		return err
	}
	if err := os.Remove(manifestOf(set.Path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(made, set.Path); err != nil {
		return err
	}
	return os.WriteFile(manifestOf(set.Path), append(text, '\n'), 0o600)
}

func (c Cache) removeStaging() error {
	left, err := filepath.Glob(filepath.Join(c.Dir, stagingPattern))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// saveSnapshot writes the image of a database and its hash behind it, as a member streams them
// (server/etcdserver/api/v3rpc/maintenance.go, Snapshot).
func saveSnapshot(ctx context.Context, database, path string) (err error) {
	db, err := bolt.Open(database, 0o400, &bolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	err = db.View(func(tx *bolt.Tx) error {
		_, err := tx.WriteTo(&endable{ctx: ctx, to: io.MultiWriter(file, sum)})
		return err
	})
	if err == nil {
		_, err = file.Write(sum.Sum(nil))
	}
	return errors.Join(err, file.Sync(), file.Close())
}

// endable is a writer that ends with its context.
type endable struct {
	ctx context.Context
	to  io.Writer
}

// Write implements io.Writer.
func (e *endable) Write(data []byte) (int, error) {
	if e.ctx.Err() != nil {
		return 0, context.Cause(e.ctx)
	}
	return e.to.Write(data)
}

func digest(ctx context.Context, path string) (size int64, sum string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = file.Close() }() // read only
	hash := sha256.New()
	size, err = io.Copy(&endable{ctx: ctx, to: hash}, file)
	return size, hex.EncodeToString(hash.Sum(nil)), err
}
