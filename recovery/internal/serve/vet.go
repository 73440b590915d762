package serve

import (
	"context"
	"errors"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/etcd-drill/etcd-drill/recovery"
	"github.com/etcd-drill/etcd-drill/recovery/internal/blob"
	"github.com/etcd-drill/etcd-drill/recovery/internal/diagnose"
	"github.com/etcd-drill/etcd-drill/recovery/internal/wire"
)

// vet is the worker's part of offline.Vet.
func (j *job) vet(ctx context.Context, task wire.VetTask) ([]recovery.Inspection, error) {
	var all []recovery.Inspection
	for _, dir := range task.Dirs {
		found, err := j.glance(ctx, dir.Dir, dir.WALDir)
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	return all, nil
}

// glance is a brief offline.Inspect of a directory that is this program's own: in place, and without a look at any record.
func (j *job) glance(ctx context.Context, dir, walDir string) (recovery.Inspection, error) {
	at, err := diagnose.Locate(dir, walDir)
	if err != nil {
		return recovery.Inspection{}, err
	}
	found := recovery.Inspection{Path: dir, Form: at.Form}
	var proof diagnose.Evidence
	if at.DB != "" {
		info, err := os.Stat(at.DB)
		if err != nil {
			return recovery.Inspection{}, err
		}
		db := &recovery.Database{Path: at.DB, Kind: blob.KindOf(info.Size()), Hash: recovery.HashNotApplicable, SizeBytes: info.Size()}
		db.ImageBytes = blob.ImageBytes(at.DB, db.SizeBytes)
		found.Database = db
		if db.Kind == recovery.DBCopy {
			content := &recovery.Content{}
			err = blame(at.DB, viewDatabase(at.DB, func(tx *bolt.Tx) error { return readBrief(content, tx) }))
			if !errors.As(err, &proof.DBFault) && err != nil {
				return recovery.Inspection{}, err
			}
			db.Content = content
		}
	}
	if at.WAL != "" {
		scan := &logScan{log: recovery.Log{Dir: at.WAL}}
		if found.Database != nil && found.Database.Content != nil {
			scan.applied = found.Database.Content.ConsistentIndex
		}
		err := scan.read(ctx, at.WAL)
		if !errors.As(err, &proof.LogFault) && err != nil {
			return recovery.Inspection{}, err
		}
		found.Log = scan.result()
	}
	found.Findings = diagnose.Findings(found, at, proof)
	return found, nil
}
