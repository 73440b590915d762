package recovery

import (
	"fmt"
	"strings"

	"golang.org/x/mod/semver"
)

// Acceptances predicts for every minor release in use whether it starts on a member that is restored from a backend.
func Acceptances(c Content) []Acceptance {
	var all []Acceptance
	for _, release := range []string{"3.5", "3.6", "3.7"} {
		all = append(all, accepts(release, c))
	}
	return all
}

// accepts adds to CheckVersion what the buckets beyond the storage version say.
func accepts(release string, c Content) Acceptance {
	warning, err := CheckVersion(c.StorageVersion, release)
	file, server := minorOf(c.StorageVersion), minorOf(release)
	a := Acceptance{Release: release, Starts: true}
	switch {
	case err != nil:
		a.Starts, a.Why = false, strings.TrimPrefix(err.Error(), ErrVersionRefused.Error()+": ")
		return a
	case checkClusterVersion(c.ClusterVersion, release) != nil:
		a.Starts = false
		a.Why = fmt.Sprintf("it is of cluster version %s, and etcd %s ends with \"invalid downgrade\"", c.ClusterVersion, release)
		return a
	case warning != "":
		a.Why = warning
	case file == "" && semver.Compare(server, oldestThatReads) < 0:
		a.Why = "it was written by etcd 3.5 or older"
	case file == server:
		a.Why = fmt.Sprintf("storage version %s is its own", c.StorageVersion)
	default:
		a.Why = fmt.Sprintf("the storage version becomes %s.0", release)
	}
	if c.DowngradeTo != "" {
		a.Why += ", in the middle of a downgrade to " + c.DowngradeTo
	}
	return a
}
