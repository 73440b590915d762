//go:build !linux

package kernel

import "fmt"

func actHere(kind string) error { return fmt.Errorf("act: there is no %q", kind) }
