package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/recovery/intake"
)

func newManifest() *cobra.Command {
	maxUnpacked := byteSize(intake.DefaultMaxBytes)
	cmd := &cobra.Command{
		Use:   "manifest FILE",
		Short: "Write down what a backup holds when it is made, for run --expect",
		Long: `Manifest reads a backup in any form that run --snapshot takes, and writes to standard output, as JSON, its digest, revision,
HashKV, and what it counts. No value and no name of a key is in it. It changes nothing, and needs room for a copy of the backup in
the system's folder for temporary files.`,
		Example: `  etcd-drill manifest backup.db > backup.db.manifest.json
  etcd-drill run --snapshot backup.db --expect backup.db.manifest.json`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			manifest, err := makeManifest(cmd.Context(), args[0], int64(maxUnpacked))
			if err != nil {
				return err
			}
			return writeJSON(os.Stdout, manifest)
		},
	}
	cmd.Flags().Var(&maxUnpacked, "max-unpacked", "refuse a packed backup, or one from standard input, that is larger than this")
	return cmd
}

func makeManifest(ctx context.Context, name string, maxBytes int64) (manifest intake.Manifest, err error) {
	worker, err := selfWorker()
	if err != nil {
		return manifest, err
	}
	dir, err := os.MkdirTemp("", "etcd-drill-manifest-")
	if err != nil {
		return manifest, fmt.Errorf("make room for a copy: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	worker.Scratch = dir
	offer := intake.Offer{Path: name, Dir: filepath.Join(dir, "given"), MaxBytes: maxBytes}
	if name == "-" {
		offer.Path, offer.Stream = "standard input", os.Stdin
	}
	received, err := intake.Receive(ctx, worker, offer)
	if err != nil {
		return manifest, err
	}
	return intake.MakeManifest(ctx, worker, received)
}
