package drill

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// TestOnlyTheSameBytesCountAsTheSame is about a shortcut that must never hide anything: what differs in one byte, or cannot be read,
// or was not read of the member, is left to the judge.
func TestOnlyTheSameBytesCountAsTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		source            bool // there is one
		member            string
		extent            verify.Extent
		history, keyspace bool // are the same
	}{
		"same":                  {source: true, member: "content", history: true, keyspace: true},
		"other":                 {source: true, member: "Content"},
		"cut":                   {source: true, member: "conten"},
		"not there":             {source: true},
		"keys only":             {source: true, member: "content", extent: verify.KeysOnly, keyspace: true},
		"hash only":             {source: true, member: "content", extent: verify.HashOnly},
		"same without source":   {member: "content", history: true, keyspace: true},
		"others without source": {member: "Content"},
	} {
		t.Run(name, func(t *testing.T) {
			f := folder(t.TempDir())
			write := func(who, text string) {
				history, keyspace := f.shows(who)
				for _, path := range []string{history, keyspace} {
					if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			plain := stored{Reborn: []verify.Member{{Name: "m1", ReadAt: 9, Extent: c.extent}}}
			if reference := "m0"; c.source {
				plain.Source = &verify.Source{}
				write(sourceName, "content")
			} else {
				plain.Reborn = append([]verify.Member{{Name: reference, ReadAt: 9}}, plain.Reborn...)
				write(reference, "content")
			}
			if c.member != "" {
				write("m1", c.member)
			}
			ev := f.join(plain)
			last := ev.Reborn[len(ev.Reborn)-1]
			if last.SameHistory != c.history || last.SameKeyspace != c.keyspace {
				t.Errorf("same history %v, same keyspace %v", last.SameHistory, last.SameKeyspace)
			}
			if first := ev.Reborn[0]; !c.source && (first.SameHistory || first.SameKeyspace) {
				t.Error("the reference counts as the same as itself, so that nobody would read it")
			}
		})
	}
}
