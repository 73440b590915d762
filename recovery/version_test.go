package recovery

import (
	"errors"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

func TestAVersionIsRefusedWhereEtcdRefusesIt(t *testing.T) {
	for _, c := range []struct {
		storage, version string
		refused, warned  bool
	}{
		{"", "3.5.35", false, false},
		{"", "3.7.3", false, false},
		{"3.6.0", "3.6.16", false, false},
		{"3.6.0", "3.7.3", false, false},
		{"3.7.0", "3.7.3", false, false},
		{"3.7.0", "3.6.16", true, false},
		{"3.8.0", "3.7.3", true, false},
		{"3.7.0", "3.8.0-alpha.0", false, false},
		{"3.6.0", "3.5.35", false, true},
		{"3.7.0", "3.5.35", false, true},
		{"3.7.0", "", false, false},
		{"3.10.0", "3.9.1", true, false},
	} {
		warning, err := CheckVersion(c.storage, c.version)
		if errors.Is(err, ErrVersionRefused) != c.refused || (err != nil) != c.refused || (warning != "") != c.warned {
			t.Errorf("storage %q on etcd %q: %v, warning %q", c.storage, c.version, err, warning)
		}
		if trap := c.warned && c.storage == "3.7.0"; strings.Contains(warning, "before 3.7 will end on it") != trap {
			t.Errorf("storage %q on etcd %q: the warning is %q", c.storage, c.version, warning)
		}
		if err != nil && !strings.Contains(err.Error(), "downgrade enable") {
			t.Errorf("%v names no way out", err)
		}
	}
}

func TestAPlanForARefusedVersionIsNotMade(t *testing.T) {
	src, old := goodSource(SavedSnapshot, "/backup/etcd.db"), oldLayout()
	src.StorageVersion = "3.7.0"
	if _, err := NewPlan(src, old, identity.FreshToken(), WithVersion("3.6.16")); !errors.Is(err, ErrVersionRefused) {
		t.Errorf("got %v", err)
	}
	plan, err := NewPlan(src, old, identity.FreshToken(), WithVersion("3.5.35"))
	if err != nil || plan.Version != "3.5.35" || len(plan.Warnings) != 1 {
		t.Errorf("got version %q, warnings %q, %v", plan.Version, plan.Warnings, err)
	}
}

func TestOnlyAnotherMinorNeedsItsOwnTool(t *testing.T) {
	for version, want := range map[string]bool{
		"": false, LinkedVersion(): false, "3.7.0": false, "3.6.16": true, "3.5.35": true, "nonsense": false,
	} {
		if NeedsOwnTool(version) != want {
			t.Errorf("%q: got %t", version, !want)
		}
	}
}

func TestASourceGoesToTheReleaseThatWroteIt(t *testing.T) {
	for _, c := range []struct {
		storage, cluster, want string
		newer                  bool
	}{
		{"", "", "3.5", false}, {"", "3.4.0", "3.5", false}, {"", "3.5.0", "3.5", false}, {"3.6.0", "3.6.0", "3.6", false},
		{"3.7.0", "", "3.7", false}, {"3.6.0", "3.7.0", "3.7", false}, {"3.8.0", "3.8.0", "", true}, {"", "3.8.0", "", true},
		{"4.0.0", "", "", true},
	} {
		got, err := Source{StorageVersion: c.storage, ClusterVersion: c.cluster}.Release()
		if got != c.want || errors.Is(err, ErrNewerStorage) != c.newer || ProvedBad(err) {
			t.Errorf("storage %q, cluster %q: %q, %v", c.storage, c.cluster, got, err)
		}
	}
}

func TestAPlanForAServerBelowTheClusterVersionIsNotMade(t *testing.T) {
	src, old := goodSource(SavedSnapshot, "/backup/etcd.db"), oldLayout()
	src.StorageVersion, src.ClusterVersion = "3.6.0", "3.7.0"
	if _, err := NewPlan(src, old, identity.FreshToken(), WithVersion("3.6.16")); !errors.Is(err, ErrVersionRefused) {
		t.Errorf("got %v", err)
	}
	for _, version := range []string{"3.5.35", "3.7.3"} {
		if _, err := NewPlan(src, old, identity.FreshToken(), WithVersion(version)); err != nil {
			t.Errorf("on %s: %v", version, err)
		}
	}
}
