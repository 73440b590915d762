package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// ManifestSchema is the version of a Manifest's JSON form. It grows when a field is renamed, removed or changes its meaning.
const ManifestSchema = 1

// Manifest is what is written down of a backup when it is made, so that whoever restores it knows that it is that one. It holds no
// value and no name of a key.
type Manifest struct {
	SchemaVersion int           `json:"schemaVersion"` // ManifestSchema
	Made          time.Time     `json:"made"`          // when the manifest was
	Kind          recovery.Kind `json:"kind"`
	SizeBytes     int64         `json:"sizeBytes"` // of the database, without its packing; SHA256 is its digest
	SHA256        string        `json:"sha256"`
	RestorePoint  int64         `json:"restorePoint"`
	Compacted     int64         `json:"compacted"`
	Keys          int64         `json:"keys"`
	Records       int64         `json:"records"`
	Leases        int64         `json:"leases"`
	// HashKV is that at the restore point, HashFrom the compaction revision above which it was computed.
	HashKV         uint32 `json:"hashKV"`
	HashFrom       int64  `json:"hashFrom"`
	StorageVersion string `json:"storageVersion,omitempty"`
	AuthEnabled    bool   `json:"authEnabled,omitempty"`
	// KeyNames is the SHA-256 over the names of all live keys, see recovery.Contents.
	KeyNames string `json:"keyNames"`
	// Kubernetes is nil unless an API server wrote it.
	Kubernetes *recovery.Kubernetes `json:"kubernetes,omitempty"`
}

// ErrOtherBackup means that a backup is not the one that a manifest describes.
var ErrOtherBackup = errors.New("backup is not the one that the manifest describes")

// ErrNoManifest means that a file is no manifest, or one that this program does not know how to read.
var ErrNoManifest = errors.New("no manifest of a backup")

// ManifestOf is the manifest of a source and what was extracted from it.
func ManifestOf(src recovery.Source, c recovery.Contents) Manifest {
	return Manifest{
		SchemaVersion: ManifestSchema, Made: time.Now().UTC().Truncate(time.Second),
		Kind: src.Kind, SizeBytes: src.SizeBytes, SHA256: src.SHA256, RestorePoint: src.RestorePoint, Compacted: src.Compacted,
		Keys: src.Keys, Records: src.Records, Leases: c.Leases, HashKV: c.HashKV, HashFrom: c.CompactRevision,
		StorageVersion: src.StorageVersion, AuthEnabled: src.AuthEnabled, KeyNames: c.KeyNames, Kubernetes: c.Kubernetes,
	}
}

// MakeManifest reads a backup that was received, in workers that use offline.Worker.Scratch, and writes down what it holds.
func MakeManifest(ctx context.Context, w offline.Worker, r Received) (_ Manifest, err error) {
	src, err := r.Check(ctx, w)
	if err != nil {
		return Manifest{}, err
	}
	dir, err := os.MkdirTemp(w.Scratch, ".etcd-drill-manifest-*")
	if err != nil {
		return Manifest{}, fmt.Errorf("make manifest: %w", err)
	}
	defer func() { err = blob.JoinCleanup(err, os.RemoveAll(dir)) }()
	contents, err := offline.Extract(ctx, w, src, offline.Extraction{
		DigestKey: []byte(src.SHA256), // nobody reads these digests
		History:   filepath.Join(dir, "history"), Keyspace: filepath.Join(dir, "keyspace"),
		Leases: filepath.Join(dir, "leases"), State: filepath.Join(dir, "state"),
	})
	if err == nil {
		err = r.Unchanged()
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("make manifest: %w", err)
	}
	return ManifestOf(src, contents), nil
}

// maxManifestBytes bounds a manifest: it has a line for each kind of objects at most.
const maxManifestBytes = 4 << 20

// ReadManifest reads what was written as JSON. What is none is an error wrapping ErrNoManifest.
func ReadManifest(path string) (Manifest, error) {
	file, err := os.Open(path)
	if err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	defer func() { _ = file.Close() }() // read only
	var m Manifest
	if err := json.NewDecoder(io.LimitReader(file, maxManifestBytes)).Decode(&m); err != nil {
		return Manifest{}, fmt.Errorf("read manifest %s: %w: it is not the JSON that etcd-drill manifest writes", path, ErrNoManifest)
	}
	switch {
	case m.SchemaVersion != ManifestSchema:
		return Manifest{}, fmt.Errorf("read manifest %s: %w: schema version %d, this program reads %d",
			path, ErrNoManifest, m.SchemaVersion, ManifestSchema)
	case m.SHA256 == "" || m.RestorePoint < 1:
		return Manifest{}, fmt.Errorf("read manifest %s: %w: it names no digest and no revision", path, ErrNoManifest)
	}
	return m, nil
}

// Differences says, a sentence each, where a source is not the one that the manifest describes; nothing if it is. Contents may be
// nil as long as they are not known.
func (m Manifest) Differences(src recovery.Source, c *recovery.Contents) []string {
	var all []string
	differ := func(what string, want, got any) {
		if !reflect.DeepEqual(want, got) {
			all = append(all, fmt.Sprintf("%s %v instead of %v", what, got, want))
		}
	}
	differ("SHA-256", m.SHA256, src.SHA256)
	differ("kind", m.Kind, src.Kind)
	differ("size", m.SizeBytes, src.SizeBytes)
	differ("restore point", m.RestorePoint, src.RestorePoint)
	differ("compaction point", m.Compacted, src.Compacted)
	differ("keys", m.Keys, src.Keys)
	differ("records", m.Records, src.Records)
	differ("storage version", m.StorageVersion, src.StorageVersion)
	if c == nil {
		return all
	}
	differ("leases", m.Leases, c.Leases)
	differ("names of keys with SHA-256", m.KeyNames, c.KeyNames)
	differ("objects of Kubernetes", m.Kubernetes, c.Kubernetes)
	if m.HashFrom == c.CompactRevision { // otherwise it is of a bumped revision, or of another compaction
		differ("HashKV", m.HashKV, c.HashKV)
	}
	return all
}
