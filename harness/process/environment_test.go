package process

import (
	"slices"
	"strings"
	"testing"
)

// TestMembersAreNotGivenVariablesOfEtcd sets what would rename every member, and tell systemd that a harness is ready.
func TestMembersAreNotGivenVariablesOfEtcd(t *testing.T) {
	t.Setenv("ETCD_NAME", "somebody")
	t.Setenv("ETCDCTL_ENDPOINTS", "http://127.0.0.1:1")
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	t.Setenv("GODEBUG", "gctrace=0")
	given := environment()
	if !slices.Contains(given, "GODEBUG=gctrace=0") {
		t.Errorf("what is not etcd's was taken away: %q", given)
	}
	for _, variable := range given {
		if strings.HasPrefix(variable, "ETCD") || strings.HasPrefix(variable, "NOTIFY_SOCKET") {
			t.Errorf("members are given %s", variable)
		}
	}
}
