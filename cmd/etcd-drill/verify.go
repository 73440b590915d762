package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/internal/report"
)

func newVerify() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:   "verify DIR",
		Short: "Judge a stored drill again, offline",
		Long: `Verify reads the evidence in a drill folder and judges it anew. It needs no engine and changes nothing. The exit code is
that of the new verdict, held against the drill's targets; where it differs from the stored one, that is said.`,
		Example: `  etcd-drill verify .drill/7f3c2a91
  etcd-drill verify .drill/7f3c2a91 -w json`,
		Args:    oneArg,
		PreRunE: out.check,
		RunE: func(_ *cobra.Command, args []string) error {
			again, err := drill.JudgeAgain(args[0])
			if err != nil {
				return err
			}
			if out.json() {
				err = writeJSON(os.Stdout, again.Report)
			} else {
				err = report.WriteText(os.Stdout, again.Report, report.Style{Color: colored(os.Stdout)})
			}
			fmt.Fprintln(os.Stderr, again.Agreement())
			return errors.Join(err, resultOf(again.Report.Result()))
		},
	}
	out.add(cmd.Flags())
	return cmd
}
