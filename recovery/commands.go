package recovery

import (
	"slices"
	"strconv"
	"strings"
)

// Commands returns what a person would type to do the same by hand, quoted for a POSIX shell: for a RouteRestore one line for
// each member, with the flags that etcdutl has had since 3.5, those of a bump since 3.5.10; otherwise one line for each step,
// with the host behind it.
func (p Plan) Commands() []string {
	if len(p.Steps) == 0 {
		return p.restoreCommands()
	}
	lines := make([]string, 0, len(p.Steps))
	for _, step := range p.Steps {
		lines = append(lines, step.String())
	}
	return lines
}

// restoreCommands restores every member of the layout from the source.
func (p Plan) restoreCommands() []string {
	lines := make([]string, 0, len(p.Members))
	for _, member := range p.Members {
		words := []string{
			"etcdutl", "snapshot", "restore", p.Source.Path,
			"--name", member.Name,
			"--initial-cluster", member.InitialCluster,
			"--initial-cluster-token", string(p.Layout.Token),
			"--initial-advertise-peer-urls", member.PeerURL,
			"--data-dir", member.DataDir,
		}
		if member.WALDir != "" {
			words = append(words, "--wal-dir", member.WALDir)
		}
		if p.SkipHashCheck {
			words = append(words, "--skip-hash-check")
		}
		if p.BumpRevision > 0 {
			words = append(words, "--bump-revision", strconv.FormatUint(p.BumpRevision, 10), "--mark-compacted")
		}
		for i, word := range words {
			words[i] = quote(word)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

// quote makes one word of a POSIX shell of any text.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,@%+", r)
	}
	if word != "" && !slices.ContainsFunc([]rune(word), func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
