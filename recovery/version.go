package recovery

import (
	"cmp"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/version"
	"golang.org/x/mod/semver"
)

// ErrVersionRefused means that a server of the wanted version ends at once on a member that is restored from the source.
var ErrVersionRefused = errors.New("this version of etcd does not start on the source")

// oldestThatReads is the first minor that writes a storage version into its database and reads it at its start. Servers before
// it take their membership from the v2 store of the restored log, and start on anything (3.5 server/etcdserver/api/membership,
// cluster.go, Recover).
const oldestThatReads = "v3.6"

// CheckVersion tells whether a server of this version, for example "3.6.16", starts on a member that is restored from a file of
// this storage version, for example "3.7.0" or empty for a file of etcd before 3.6. It says what etcd says: a server knows the
// storage of its own minor and of those before it (server/storage/schema/schema.go, Validate), and 3.5 looks at nothing.
//
// A server that would end is an error wrapping ErrVersionRefused, with the way out. One that would start, at a price that shows
// later, yields a warning. Nothing is known of an empty version, so nothing is said.
func CheckVersion(storage, version string) (warning string, err error) {
	file, server := minorOf(storage), minorOf(version)
	if file == "" || server == "" || semver.Compare(file, server) <= 0 {
		return "", nil
	}
	if semver.Compare(server, oldestThatReads) < 0 {
		return underage(file, version), nil
	}
	return "", fmt.Errorf("%w: it is of storage version %s, etcd %s ends with \"version %s is not supported\"; "+
		"restore on etcd %s or newer, or, while the old cluster lives: etcdctl downgrade enable %s, "+
		"wait until etcdctl endpoint status shows storage version %s.0, save again",
		ErrVersionRefused, storage, version, storage, file[1:], server[1:], server[1:])
}

// ErrNewerStorage means that a source was written by a newer etcd than this program knows.
var ErrNewerStorage = errors.New("storage version is newer than this program knows")

// Release returns the minor release that a cluster restored from the source runs if nobody names one, for example "3.6": the one
// that wrote it. What was written before 3.5 goes to 3.5. A newer one than that of the linked library is an error wrapping
// ErrNewerStorage.
func (s Source) Release() (string, error) {
	wrote := oldestInUse
	for _, version := range []string{s.StorageVersion, s.ClusterVersion} {
		if minor := minorOf(version); minor != "" && semver.Compare(minor, wrote) > 0 {
			wrote = minor
		}
	}
	if semver.Compare(wrote, minorOf(LinkedVersion())) > 0 {
		return "", fmt.Errorf("choose an etcd for %s: %w: it was written by etcd %s, and %s is the newest that is known; use a newer etcd-drill",
			s.Path, ErrNewerStorage, wrote[1:], minorOf(LinkedVersion())[1:])
	}
	return wrote[1:], nil
}

// oldestInUse is the oldest release that members are run of unless somebody names one.
const oldestInUse = "v3.5"

// checkClusterVersion refuses a server that ends at a cluster version above its own, as every one since 3.6 does
// (MustDetectDowngrade in server/etcdserver/version/downgrade.go); 3.5 does not read it from a restored file.
func checkClusterVersion(cluster, version string) error {
	file, server := minorOf(cluster), minorOf(version)
	if file == "" || server == "" || semver.Compare(server, oldestThatReads) < 0 || semver.Compare(file, server) <= 0 {
		return nil
	}
	return fmt.Errorf("%w: it is of cluster version %s, and etcd %s ends with \"invalid downgrade\"; restore on etcd %s or newer",
		ErrVersionRefused, cluster, version, file[1:])
}

// underage warns of a server that is too old to look at the storage version.
func underage(file, version string) string {
	warning := fmt.Sprintf("etcd %s does not look at the storage version, which is %s: "+
		"it starts on whatever it is given, and leaves that version in the database", version, file[1:])
	if semver.Compare(file, oldestThatReads) > 0 {
		warning += fmt.Sprintf("; an upgrade of this cluster to a version before %s will end on it", file[1:])
	}
	return warning
}

// runOn makes the plan one for this version, if a server of it starts on the plan's source.
func (p *Plan) runOn(version string) error {
	warning, err := CheckVersion(p.Source.StorageVersion, version)
	if err == nil {
		err = checkClusterVersion(p.Source.ClusterVersion, version)
	}
	if err != nil {
		return err
	}
	p.Version = version
	if warning != "" {
		p.Warnings = append(p.Warnings, warning)
	}
	return nil
}

// NeedsOwnTool tells whether a member that will run this version should be restored by the etcdutl of its own minor: whether the
// library that this program is linked with is of another one. An empty version needs none.
func NeedsOwnTool(version string) bool {
	minor := minorOf(version)
	return minor != "" && minor != minorOf(LinkedVersion())
}

// LinkedVersion is the version of the etcdutl library that this program is linked with.
func LinkedVersion() string { return version.Version }

// SameMinor tells whether two versions, for example "3.6.16" and "3.6.4", are of the same minor release, or neither is a version.
func SameMinor(a, b string) bool { return minorOf(a) == minorOf(b) }

// minorOf returns a version's minor as semver writes it, "v3.6"; empty for what is no version.
func minorOf(version string) string { return semver.MajorMinor("v" + cmp.Or(version, "-")) }
