package harness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/etcd-drill/etcd-drill/harness/identity"
)

// Return starts the member's process once more, on the directory of this disk and with its old flags, but without its
// network name and at a place of its own: the old member that comes back while a new cluster lives under its peer URLs. The
// member's own node must be stopped. The returned member answers for nobody's restart; kill it when the observation is over.
func (m *Member) Return(ctx context.Context, site Site, disk Disk) (*Member, error) {
	returned, err := m.elsewhere(ctx, site, m.nodeName+"-returned", disk)
	if err == nil {
		err = returned.Start(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("return old %s: %w", m.Name(), err)
	}
	return returned, nil
}

// elsewhere is the member on a node of another name. It listens where that node's place is and goes on advertising its old
// URLs; of a flag that is given twice etcd takes the last.
func (m *Member) elsewhere(ctx context.Context, site Site, node string, disk Disk) (*Member, error) {
	place, err := Manner{TLS: m.files != nil}.Places(site).Place(node)
	if err != nil {
		return nil, err
	}
	args := append(slices.Clone(m.args),
		"--listen-client-urls="+place.ListenClientURL, "--listen-peer-urls="+place.ListenPeerURL)
	made, err := site.NewNode(ctx, NodeSpec{Name: node, Disk: disk, Files: m.files, Args: args, Version: m.version})
	if err != nil {
		return nil, err
	}
	return &Member{
		seat: m.seat, id: m.id, node: made, nodeName: node, disk: disk, files: m.files, args: args, version: m.version,
		access: m.access, scrub: m.scrub,
	}, nil
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
	peer := http.Client{Transport: &http.Transport{TLSClientConfig: m.access.TLS, DisableKeepAlives: true}}
	response, err := peer.Do(request)
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
