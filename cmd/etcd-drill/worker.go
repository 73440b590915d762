package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/recovery/offline"
)

// workerCommand is how this program starts itself to open files of unknown health, which may end the process that does it.
const workerCommand = "__worker"

func newWorker() *cobra.Command {
	return &cobra.Command{
		Use:    workerCommand,
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return offline.Serve(cmd.Context(), os.Stdin, os.Stdout, os.Stderr)
		},
	}
}
