package recovery

import (
	"context"
	"errors"
	"os"

	bolt "go.etcd.io/bbolt"
)

// vet is the worker's part of Vet.
func (j *job) vet(ctx context.Context, task vetTask) ([]Inspection, error) {
	var all []Inspection
	for _, dir := range task.Dirs {
		found, err := j.glance(ctx, dir.Dir, dir.WALDir)
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	return all, nil
}

// glance is a brief Inspect of a directory that is this program's own: in place, and without a look at any record.
func (j *job) glance(ctx context.Context, dir, walDir string) (Inspection, error) {
	at, err := locate(dir, walDir)
	if err != nil {
		return Inspection{}, err
	}
	found := Inspection{Path: dir, Form: at.form}
	var proof evidence
	if at.db != "" {
		info, err := os.Stat(at.db)
		if err != nil {
			return Inspection{}, err
		}
		db := &Database{Path: at.db, Kind: kindOf(info.Size()), Hash: HashNotApplicable, SizeBytes: info.Size()}
		db.ImageBytes = imageBytes(at.db, db.SizeBytes)
		found.Database = db
		if db.Kind == DBCopy {
			content := &Content{}
			err = blame(at.db, viewDatabase(at.db, func(tx *bolt.Tx) error { return readBrief(content, tx) }))
			if !errors.As(err, &proof.dbFault) && err != nil {
				return Inspection{}, err
			}
			db.Content = content
		}
	}
	if at.wal != "" {
		scan := &logScan{log: Log{Dir: at.wal}}
		if found.Database != nil && found.Database.Content != nil {
			scan.applied = found.Database.Content.ConsistentIndex
		}
		err := scan.read(ctx, at.wal)
		if !errors.As(err, &proof.logFault) && err != nil {
			return Inspection{}, err
		}
		found.Log = scan.result()
	}
	found.Findings = diagnose(found, at, proof)
	return found, nil
}
