package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/drill"
)

func newList() *cobra.Command {
	var (
		out   output
		where hostFlags
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List faults, routes and scenarios, with what this host supports",
		Example: "  etcd-drill list\n  etcd-drill list -w json",
		Args:    noArgs,
		PreRunE: out.check,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			catalogue := drill.Catalogue()
			runtime, err := where.open(cmd.Context(), func(string) {})
			if err != nil {
				catalogue.Unsupported(err)
			} else {
				defer func() { err = errors.Join(err, runtime.Close()) }()
				abilities, failure := runtime.Abilities(cmd.Context())
				if failure != nil {
					return failure
				}
				catalogue.Apply(abilities)
			}
			if out.json() {
				return writeJSON(os.Stdout, catalogue)
			}
			return showCatalogue(catalogue)
		},
	}
	cmd.Flags().SortFlags = false
	where.addRuntime(cmd.Flags())
	out.add(cmd.Flags())
	return cmd
}

func showCatalogue(c drill.Listing) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, group := range c.Groups {
		fmt.Fprintf(table, "%s\n", group.Title)
		for _, item := range group.Items {
			state := "yes"
			if !item.Supported {
				state = "no: " + item.Reason
			}
			fmt.Fprintf(table, "  %s\t%s\t%s\n", item.Name, item.Text, state)
		}
	}
	return table.Flush()
}
