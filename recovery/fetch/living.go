package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Why a living cluster gives no snapshot.
var (
	// ErrUnreachable means that nothing answered at an endpoint within its time.
	ErrUnreachable = errors.New("no answer")
	// ErrUntrusted means that the certificate which an endpoint shows is not one that may be trusted: of another authority, for
	// another host, or expired.
	ErrUntrusted = errors.New("certificate is not trusted")
	// ErrUnwelcome means that an endpoint does not take the client's certificate, or wants one.
	ErrUnwelcome = errors.New("client certificate is refused")
	// ErrLogin means that etcd does not know the user, or does not let it save snapshots.
	ErrLogin = errors.New("user is refused")
	// ErrNoVantage means that there is no member to save from.
	ErrNoVantage = errors.New("no member to save a snapshot from")
)

// askWithin is how long an endpoint may take to answer one question.
const askWithin = 5 * time.Second

// Living is a cluster that lives and that nobody may change. It is asked for nothing but status, member list, hash and snapshot; a
// login with a password is one question more.
type Living struct {
	// Endpoints are client URLs of its members. Only these are asked: the URLs that members advertise need not lead anywhere from
	// here.
	Endpoints []string
	TLS       *tls.Config // nil for plain text
	Login     harness.Login
	// RateBytes bounds how many bytes of the snapshot are taken in a second; 0 for as fast as they come.
	RateBytes int64
}

// Survey asks every endpoint at the same time how its member is. It is an error if none of them answers, that of the first; and
// one wrapping recovery.ErrOtherCluster if they are of several clusters.
func (l Living) Survey(ctx context.Context) ([]Vantage, error) {
	if len(l.Endpoints) == 0 {
		return nil, fmt.Errorf("look at living cluster: %w: no endpoint was named", ErrNoVantage)
	}
	all, faults := make([]Vantage, len(l.Endpoints)), make([]error, len(l.Endpoints))
	var asking sync.WaitGroup
	for i, endpoint := range l.Endpoints {
		asking.Go(func() { all[i], faults[i] = l.look(ctx, endpoint) })
	}
	asking.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("look at living cluster: %w", context.Cause(ctx))
	}
	var cluster identity.ClusterID
	answered := false
	for i, v := range all {
		if faults[i] != nil {
			all[i] = Vantage{Endpoint: l.Endpoints[i], Fault: faults[i].Error()}
			continue
		}
		if answered && v.Cluster != cluster {
			return nil, fmt.Errorf("look at living cluster: %w: %s and others belong to %s and %s; name the endpoints of one",
				recovery.ErrOtherCluster, v.Endpoint, v.Cluster, cluster)
		}
		answered, cluster = true, v.Cluster
	}
	if !answered {
		return nil, fmt.Errorf("look at living cluster: %w", faults[0])
	}
	return all, nil
}

// look asks one endpoint.
func (l Living) look(ctx context.Context, endpoint string) (Vantage, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askWithin, fmt.Errorf("%w within %s", ErrUnreachable, askWithin))
	defer cancel()
	client, err := l.dial(ctx, endpoint, harness.AnyCluster)
	if err != nil {
		return Vantage{}, fmt.Errorf("ask %s: %w", endpoint, l.explain(ctx, endpoint, err))
	}
	defer client.Close() //nolint:errcheck // nothing is lost by closing
	status, err := client.Status(ctx, endpoint)
	if err != nil {
		return Vantage{}, fmt.Errorf("ask %s: %w", endpoint, l.explain(ctx, endpoint, err))
	}
	v := Vantage{
		Endpoint: endpoint, Member: identity.MemberID(status.Header.MemberId), Cluster: identity.ClusterID(status.Header.ClusterId),
		Leader: status.Leader != 0 && status.Leader == status.Header.MemberId, Learner: status.IsLearner, Led: status.Leader != 0,
		Errors: status.Errors, Version: status.Version, Revision: status.Header.Revision, Applied: status.RaftAppliedIndex,
		DBBytes: status.DbSize,
	}
	// A learner does not know who the members are.
	if list, err := client.MemberList(ctx, clientv3.WithSerializable()); err == nil {
		for _, m := range list.Members {
			if identity.MemberID(m.ID) == v.Member {
				v.Name = m.Name
			}
		}
	}
	return v, nil
}

// Save streams a snapshot of this member into a new file, as the function of that name does. The answer must be of the cluster that
// was looked at.
func (l Living) Save(ctx context.Context, from Vantage, path string, opts ...Option) (Stored, error) {
	client, err := l.dial(ctx, from.Endpoint, from.Cluster)
	if err != nil {
		return Stored{}, fmt.Errorf("save snapshot of %s: %w", from.Endpoint, l.explain(ctx, from.Endpoint, err))
	}
	defer client.Close() //nolint:errcheck // nothing is lost by closing
	stored, err := Save(ctx, client, path, append(opts, WithRate(l.RateBytes))...)
	switch {
	case recovery.ProvedBad(err): // of a stream, which proves nothing against the data that it comes from
		return Stored{}, fmt.Errorf("%w: %s", recovery.ErrEndedEarly, err.Error())
	case err != nil:
		return Stored{}, l.explain(ctx, from.Endpoint, err)
	}
	return stored, nil
}

// Said is the hash that one member of a living cluster gives for a revision.
type Said struct {
	Endpoint string            `json:"endpoint"`
	Member   identity.MemberID `json:"member"`
	HashKV   uint32            `json:"hashKV"`
	// From is the compaction revision above which it was computed. Hashes of different ones cannot be compared.
	From int64 `json:"from"`
	// Fault says why there is none.
	Fault string `json:"fault,omitempty"`
}

// hashLimit is the size of a database up to which members are asked for its hash: a member holds back writes while it computes one.
const hashLimit = 2 << 30

// Hashes asks the members, one after the other, for their HashKV at this revision.
func (l Living) Hashes(ctx context.Context, all []Vantage, revision int64) []Said {
	var said []Said
	for _, v := range all {
		if v.Fault != "" || v.Learner { // a learner refuses
			continue
		}
		s := Said{Endpoint: v.Endpoint, Member: v.Member}
		if v.DBBytes > hashLimit {
			s.Fault = fmt.Sprintf("its database has %d MiB, and it would hold back writes while it computes", v.DBBytes>>20)
		} else if err := l.hash(ctx, v, revision, &s); err != nil {
			s.Fault = err.Error()
		}
		said = append(said, s)
	}
	return said
}

// hashWithin bounds one hash.
const hashWithin = time.Minute

func (l Living) hash(ctx context.Context, v Vantage, revision int64, into *Said) error {
	ctx, cancel := context.WithTimeoutCause(ctx, hashWithin, fmt.Errorf("%w within %s", ErrUnreachable, hashWithin))
	defer cancel()
	client, err := l.dial(ctx, v.Endpoint, v.Cluster)
	if err != nil {
		return l.explain(ctx, v.Endpoint, err)
	}
	defer client.Close() //nolint:errcheck // nothing is lost by closing
	resp, err := client.HashKV(ctx, v.Endpoint, revision)
	if err != nil {
		return l.explain(ctx, v.Endpoint, err)
	}
	into.HashKV, into.From = resp.Hash, resp.CompactRevision
	return nil
}
