package drill

import (
	"errors"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
)

func TestARestoreOnAVersionThatWillNotStartIsRefusedBeforeAnythingIsLost(t *testing.T) {
	for _, c := range []struct {
		old, restoring string
		route          recovery.Route
		refused        bool
	}{
		{"3.7.3", "3.6.16", "", true},
		{"3.7.3", "3.6.16", recovery.RouteSeed, true},
		{"3.7.3", "3.7.3", "", false},
		{"3.7.3", "3.5.35", "", false},
		{"3.6.16", "3.7.3", "", false},
		{"3.5.35", "3.6.16", "", false},
		{"3.7.3", "3.6.16", recovery.RouteRestart, false},
	} {
		spec := DefaultSpec()
		spec.Route = c.route
		d := &Drill{spec: spec, prepared: harness.Prepared{Version: c.old}}
		d.versions.restoring.Version = c.restoring
		err := d.checkVersions()
		if refused := errors.Is(err, recovery.ErrVersionRefused) && errors.Is(err, ErrUsage); refused != c.refused || (err != nil) != c.refused {
			t.Errorf("%s restored on %s by %q: got %v", c.old, c.restoring, c.route, err)
		}
	}
}

func TestVersionsOfASpecAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Spec)
		fine   bool
	}{
		"a pinned one":              {func(s *Spec) { s.EtcdVersion, s.RestoreVersion = "3.6.16", "3.7.3" }, true},
		"a minor":                   {func(s *Spec) { s.EtcdVersion = "3.6" }, true},
		"an alpha":                  {func(s *Spec) { s.EtcdVersion = "3.8.0-alpha.0" }, true},
		"no version":                {func(s *Spec) { s.EtcdVersion = "newest" }, false},
		"no version to restore on":  {func(s *Spec) { s.RestoreVersion = "3,6" }, false},
		"a route without a restore": {func(s *Spec) { s.Route, s.Lose, s.RestoreVersion = recovery.RouteReplace, "1", "3.6" }, false},
	} {
		spec := DefaultSpec()
		c.change(&spec)
		if err := spec.Check(); (err == nil) != c.fine || err != nil && !errors.Is(err, ErrUsage) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestTheLibraryRestoresOnlyWhereNoToolCanBeHad(t *testing.T) {
	d := &Drill{opts: Options{}}
	d.versions.restoring.Version = "3.6.16"
	if err := d.findTool(t.Context()); err != nil || d.versions.assumed == "" || d.restorer(recovery.Plan{Version: "3.6.16"}).Etcdutl != "" {
		t.Errorf("without tools: %+v, %v", d.versions, err)
	}
}
