package drill

import "github.com/etcd-drill/etcd-drill/harness"

// manner is how the members of the drill are started, before and after.
func (s Spec) manner() harness.Manner {
	return harness.Manner{TLS: s.TLS || s.Auth, SeparateWAL: s.SeparateWAL}
}

// restoredWAL is where a runbook keeps the log of a restored member, if it lies apart.
func restoredWAL(member string) string { return harness.Place{DataDir: restoredDir(member)}.WALDir() }

// manned says in a title how the members are started; nothing for the plain way.
func (s Spec) manned() string {
	said := ""
	if s.manner().TLS {
		said += ", TLS"
	}
	if s.Auth {
		said += ", authentication on"
	}
	if s.SeparateWAL {
		said += ", separate WAL"
	}
	return said
}

// places returns where the drill's members are, as its layouts and plans name them.
func (d *Drill) places() harness.Placer { return d.spec.manner().Places(d.site) }

// secure makes the run's certificate authority if the spec wants TLS. It lives as long as the drill, so that a restored member
// has the certificate of the lost one.
func (d *Drill) secure() (err error) {
	if d.spec.manner().TLS {
		d.security, err = harness.NewSecurity(d.run.ID())
	}
	return err
}

// Security returns what the drill's members and their clients show each other; nil without TLS.
func (d *Drill) Security() *harness.Security { return d.security }
