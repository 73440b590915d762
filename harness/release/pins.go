package release

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/semver"
)

// The pins are plain data, named so that the go program does not take the folder for a module of its own, and embedded so
// that an installed etcd-drill has them too.
//
//go:embed data/*.mod data/*.sum
var data embed.FS

// programs maps the packages that make a release to the name of the program each becomes. The go program would name the
// server after the last element of its path.
func programs() map[string]string {
	return map[string]string{
		"go.etcd.io/etcd/server/v3":  "etcd",
		"go.etcd.io/etcd/etcdctl/v3": "etcdctl",
		"go.etcd.io/etcd/etcdutl/v3": "etcdutl",
	}
}

// pins are the contents of a go.mod and a go.sum that fix every module of a release.
type pins struct{ mod, sum []byte }

// Pinned lists the versions that can be built, newest first.
func Pinned() []string {
	names, err := fs.Glob(data, "data/*.mod")
	if err != nil {
		return nil // only a malformed pattern, which this one is not
	}
	var versions []string
	for _, name := range names {
		versions = append(versions, strings.TrimSuffix(strings.TrimPrefix(name, "data/etcd-"), ".mod"))
	}
	slices.SortFunc(versions, func(a, b string) int { return semver.Compare("v"+b, "v"+a) })
	return versions
}

// Full completes the short form of a version: for "3.6" it returns the newest pinned version of that minor. Anything else is
// returned as it is, whether it can be built or not.
func Full(version string) string {
	for _, pinned := range Pinned() {
		if strings.HasPrefix(pinned, version+".") && strings.Count(version, ".") == 1 {
			return pinned
		}
	}
	return version
}

// Recipe is a digest of everything that decides how a version is built: its pins and the flags. Programs or images made
// by another recipe are not reused.
func Recipe(version string) (string, error) {
	p, err := pinsOf(version)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, part := range [][]byte{p.mod, p.sum, []byte(strings.Join(buildFlags(), " "))} {
		sum.Write(strconv.AppendInt(nil, int64(len(part)), 10))
		sum.Write([]byte{'\n'})
		sum.Write(part)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

func pinsOf(version string) (pins, error) {
	mod, err := data.ReadFile("data/etcd-" + version + ".mod")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return pins{}, fmt.Errorf("%w: %q; can be built: %s; any other version needs an image of it, named with --image",
			ErrUnknownVersion, version, strings.Join(Pinned(), ", "))
	}
	if err != nil {
		return pins{}, fmt.Errorf("read pins: %w", err)
	}
	sum, err := data.ReadFile("data/etcd-" + version + ".sum")
	if err != nil {
		return pins{}, fmt.Errorf("read pins: %w", err)
	}
	return pins{mod: mod, sum: sum}, nil
}
