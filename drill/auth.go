package drill

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/etcd-drill/etcd-drill/harness"
)

// rootName is the user, and the role, that may do everything (server/auth/store.go, rootUser and rootRole). etcd switches
// authentication on only if there is one.
const rootName = "root"

// login is whom the drill's clients log in as. Where the drill switches authentication on, their certificates say that they
// are root, which etcd believes without a quorum.
func (d *Drill) login() harness.Login {
	if d.spec.Auth && d.opts.Login == (harness.Login{}) {
		return harness.Login{User: rootName}
	}
	return d.opts.Login
}

// Root returns the login of the user root with its password, which the drill has drawn; the zero value unless the spec has
// authentication on. The password is written down nowhere.
func (d *Drill) Root() harness.Login { return d.root }

// switchAuthOn makes the user root and returns when authentication is on at every member.
func (d *Drill) switchAuthOn(ctx context.Context, cluster *harness.Cluster) error {
	d.root = harness.Login{User: rootName, Password: rand.Text()}
	first, err := cluster.Members()[0].Dial(ctx)
	if err != nil {
		return fmt.Errorf("switch authentication on: %w", err)
	}
	defer first.Close() //nolint:errcheck // every call has been answered by then
	ctx, cancel := context.WithTimeout(ctx, d.opts.ReadyWithin)
	defer cancel()
	_, err = first.UserAdd(ctx, d.root.User, d.root.Password)
	if err == nil {
		_, err = first.UserGrantRole(ctx, d.root.User, rootName)
	}
	if err == nil {
		_, err = first.AuthEnable(ctx)
	}
	if err != nil {
		return fmt.Errorf("switch authentication on: %w", err)
	}
	work, workCtx := errgroup.WithContext(ctx)
	for _, m := range cluster.Members() {
		work.Go(func() error { return seesAuthOn(workCtx, m) })
	}
	return work.Wait()
}

// seesAuthOn returns nil if the member knows that authentication is on. It answers when it has applied all that was agreed
// before.
func seesAuthOn(ctx context.Context, m *harness.Member) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client, err := m.Dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // the call has been answered by then
	status, err := client.AuthStatus(ctx)
	if err == nil && !status.Enabled {
		err = errors.New("authentication is off")
	}
	if err != nil {
		return fmt.Errorf("ask %s for the switch of authentication: %w", m.Name(), err)
	}
	return nil
}
