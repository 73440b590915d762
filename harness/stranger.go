package harness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// Return starts the member's process once more, on the directory of this disk and with its old flags, but without its
// network name: the old member that comes back while a new cluster lives under its peer URLs. The member's own node must
// be stopped. The returned member answers for nobody's restart; kill it when the observation is over.
func (m *Member) Return(ctx context.Context, site Site, disk Disk) (*Member, error) {
	node, err := site.NewNode(ctx, NodeSpec{Name: m.Name() + "-returned", Disk: disk, Args: m.args})
	if err != nil {
		return nil, fmt.Errorf("return old %s: %w", m.Name(), err)
	}
	returned := &Member{seat: m.seat, id: m.id, node: node, disk: disk, args: m.args}
	if err := returned.Start(ctx); err != nil {
		return nil, fmt.Errorf("return old %s: %w", m.Name(), err)
	}
	return returned, nil
}

// PeerAnswer is what a member answered to a peer request.
type PeerAnswer struct {
	Status int                // of HTTP
	As     identity.ClusterID // the cluster that the member says it belongs to
}

// AskAsPeer sends the running member a peer request under this cluster ID. etcd answers 412 to another ID than its own
// (rafthttp/http.go, checkClusterCompatibilityFromHeader); under its own ID it reads on, and answers 400 because the body
// is no raft message. Nothing reaches the raft group either way.
//
// version is the member's own etcd version: etcd checks the peer's version first and would answer 412 for that reason.
func (m *Member) AskAsPeer(ctx context.Context, cluster identity.ClusterID, version string) (PeerAnswer, error) {
	endpoint, err := m.Endpoint(ctx)
	if err != nil {
		return PeerAnswer{}, err
	}
	notARaftMessage := bytes.NewReader([]byte{0xff, 0xff, 0xff})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.Peer+"/raft", notARaftMessage)
	if err != nil {
		return PeerAnswer{}, m.wrap("ask as peer", err)
	}
	request.Header.Set("X-Etcd-Cluster-ID", cluster.String())
	request.Header.Set("X-Server-Version", version)
	request.Header.Set("X-Min-Cluster-Version", "3.0.0")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return PeerAnswer{}, m.wrap("ask as peer", err)
	}
	defer response.Body.Close() //nolint:errcheck // reading is all that was wanted
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return PeerAnswer{}, m.wrap("ask as peer", err)
	}
	answer := PeerAnswer{Status: response.StatusCode}
	err = answer.As.UnmarshalText([]byte(response.Header.Get("X-Etcd-Cluster-ID")))
	return answer, m.wrap("ask as peer", err)
}
