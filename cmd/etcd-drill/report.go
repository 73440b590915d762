package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/drill"
)

func newReport() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "report DIR",
		Short: "Render a stored drill as one HTML page",
		Long: `Report renders the drill in a folder as one HTML page, which needs no script, no network and no other file. It judges
nothing; etcd-drill verify does. The exit code is 0 if the page was written, whatever the verdict.`,
		Example: `  etcd-drill report .drill/7f3c2a91
  etcd-drill report .drill/7f3c2a91 -o drill.html
  etcd-drill report .drill/7f3c2a91 -o - | gzip >drill.html.gz`,
		Args: oneArg,
		RunE: func(_ *cobra.Command, args []string) error {
			if file == "-" {
				return drill.RenderTo(os.Stdout, args[0])
			}
			written, err := drill.Render(args[0], file)
			if err != nil {
				return err
			}
			fmt.Println(written)
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "file to write, - for standard output (default: report.html in the folder)")
	return cmd
}
