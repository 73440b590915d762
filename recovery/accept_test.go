package recovery

import (
	"strings"
	"testing"
)

// The matrix of what starts on what was tried with 3.5.35, 3.6.16 and 3.7.3.
func TestVersionsThatStartOnASource(t *testing.T) {
	for name, c := range map[string]struct {
		Content Content
		starts  string // a letter for 3.5, 3.6 and 3.7
		why     [3]string
	}{
		"3.5": {Content{ClusterVersion: "3.5.0"}, "yyy", [3]string{"3.5 or older", "becomes 3.6.0", "becomes 3.7.0"}},
		"3.6": {Content{ClusterVersion: "3.6.0", StorageVersion: "3.6.0"}, "yyy",
			[3]string{"does not look at the storage version", "its own", "becomes 3.7.0"}},
		"3.7": {Content{ClusterVersion: "3.7.0", StorageVersion: "3.7.0"}, "yny",
			[3]string{"does not look at the storage version", "downgrade enable 3.6", "its own"}},
		"3.7, migrated to 3.6": {Content{ClusterVersion: "3.7.0", StorageVersion: "3.6.0"}, "yny",
			[3]string{"does not look at", "invalid downgrade", "becomes 3.7.0"}},
		"3.7, downgrading to 3.6": {Content{ClusterVersion: "3.6.0", StorageVersion: "3.6.0", DowngradeTo: "3.6.0"}, "yyy",
			[3]string{"downgrade to 3.6.0", "downgrade to 3.6.0", "downgrade to 3.6.0"}},
		"3.8": {Content{ClusterVersion: "3.8.0", StorageVersion: "3.8.0"}, "ynn", [3]string{"does not look at", "3.8.0", "3.8.0"}},
	} {
		for i, a := range Acceptances(c.Content) {
			if a.Starts != (c.starts[i] == 'y') || !strings.Contains(a.Why, c.why[i]) {
				t.Errorf("%s: %+v, want %c and %q", name, a, c.starts[i], c.why[i])
			}
		}
	}
}
