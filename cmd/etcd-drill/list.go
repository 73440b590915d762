package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness/host"
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
		RunE: func(cmd *cobra.Command, _ []string) error {
			catalogue := drill.Catalogue()
			if err := where.apply(cmd.Context(), catalogue); err != nil {
				return err
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

// apply marks what this host, and the runtime that was chosen, cannot do.
func (h *hostFlags) apply(ctx context.Context, catalogue drill.Listing) (err error) {
	cfg, err := h.config(nil)
	if err != nil {
		return err
	}
	here, absent, err := host.All(ctx, cfg)
	if err != nil {
		return err
	}
	for _, runtime := range here {
		defer func() { err = errors.Join(err, runtime.Close()) }()
	}
	catalogue.Absent(absent)
	chosen, err := host.Open(ctx, cfg)
	if errors.Is(err, host.ErrChoice) {
		return err
	}
	if err != nil {
		catalogue.Unsupported(err)
		return nil
	}
	defer func() { err = errors.Join(err, chosen.Close()) }()
	abilities, err := chosen.Abilities(ctx)
	if err == nil {
		catalogue.Apply(abilities)
	}
	return err
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
