package release

import (
	"context"
	"slices"
	"strings"
)

// Tools finds etcdutl programs for this machine.
type Tools struct {
	CacheDir string
	Progress func(string)
}

// Etcdutl returns the path of the etcdutl of this version, freshly built or from the cache. Where the version itself is not
// pinned, another one of its minor takes its place; without that the error wraps ErrUnknownVersion.
func (t Tools) Etcdutl(ctx context.Context, version string) (string, error) {
	if minor := strings.SplitN(version, ".", 3); !slices.Contains(Pinned(), version) && len(minor) > 1 {
		if other := Full(minor[0] + "." + minor[1]); slices.Contains(Pinned(), other) {
			version = other
		}
	}
	built, err := Build(ctx, Request{Version: version, CacheDir: t.CacheDir, Progress: t.Progress})
	return built.Etcdutl, err
}
