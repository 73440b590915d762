package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcd-drill/etcd-drill/harness/release"
)

// version is set by the linker of a release build, which can only set a variable.
var version = ""

func toolVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

func newVersion() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of etcd-drill and of the etcd that it runs",
		Args:    noArgs,
		PreRunE: out.check,
		RunE: func(*cobra.Command, []string) error {
			known := struct {
				Version string   `json:"version"`
				Go      string   `json:"go"`
				Etcd    string   `json:"etcd"`
				Pinned  []string `json:"pinned"`
			}{toolVersion(), runtime.Version(), release.Default, release.Pinned()}
			if out.json() {
				return writeJSON(os.Stdout, known)
			}
			_, err := fmt.Printf("etcd-drill %s, built with %s\netcd %s (pinned: %s)\n",
				known.Version, known.Go, known.Etcd, strings.Join(known.Pinned, ", "))
			return err
		},
	}
	out.add(cmd.Flags())
	return cmd
}
