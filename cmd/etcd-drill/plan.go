package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/drill"
	"github.com/etcd-drill/etcd-drill/harness"
)

func newPlan() *cobra.Command {
	var (
		what specFlags
		out  output
	)
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Print what run would do, as a runbook that a person could type; touches nothing",
		Example: `  etcd-drill plan
  etcd-drill plan --members 5 --lose 3 --fault wipe --backup before --seed 7`,
		Args:    noArgs,
		PreRunE: out.check,
		RunE: func(cmd *cobra.Command, _ []string) error {
			specs, err := what.drills(cmd.Flags())
			if err != nil {
				return err
			}
			nameDefault(specs)
			var previews []drill.Preview
			for _, spec := range specs {
				preview, err := drill.NewPreview(spec, harness.HostPlaces{})
				if err != nil {
					return err
				}
				previews = append(previews, preview)
			}
			if out.json() {
				return writeJSON(os.Stdout, previews)
			}
			return showPreviews(previews)
		},
	}
	cmd.Flags().SortFlags = false
	what.add(cmd.Flags())
	out.add(cmd.Flags())
	return cmd
}

func showPreviews(previews []drill.Preview) error {
	var text strings.Builder
	for i, p := range previews {
		fmt.Fprintf(&text, "# drill %d/%d: %s\n# seed %d\n", i+1, len(previews), p.Spec.Title(), p.Spec.Seed)
		for _, warning := range p.Warnings {
			fmt.Fprintf(&text, "# warning: %s\n", warning)
		}
		for n, step := range p.Steps {
			fmt.Fprintf(&text, "\n# %d. %s\n", n+1, step.Title)
			for _, line := range step.Commands {
				fmt.Fprintln(&text, line)
			}
		}
		fmt.Fprintln(&text)
	}
	_, err := os.Stdout.WriteString(text.String())
	return err
}
