package main

import (
	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/drill"
)

func newBenchReport() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "report FILE",
		Short: "Show a file of measurements again, as a page with pictures or in another form",
		Long: `Report reads the file of measurements that etcd-drill bench --out has written, whole or interrupted, and shows it again. It
measures nothing. The page needs no network and no other file.`,
		Example: `  etcd-drill bench report .drill/bench-7f3c2a91.jsonl > new.html
  etcd-drill bench report .drill/bench-7f3c2a91.jsonl -w text | benchstat /dev/stdin`,
		Args:    oneArg,
		PreRunE: func(*cobra.Command, []string) error { return checkBenchFormat(format) },
		RunE: func(_ *cobra.Command, args []string) error {
			stored, err := drill.ReadBench(args[0])
			if err != nil {
				return err
			}
			return showBench(stored, format)
		},
	}
	cmd.Flags().StringVarP(&format, "write-out", "w", benchHTML, "output format: html, text of Go benchmarks, json or csv")
	return cmd
}
