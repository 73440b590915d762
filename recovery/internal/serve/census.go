package serve

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// maxResources bounds how many resources are told apart; the objects of further ones are counted under otherResources.
const (
	maxResources   = 2000
	otherResources = "(others)"
)

// encryptedMark opens a value that the API server encrypted: k8s:enc:PROVIDER:VERSION:KEYNAME: (its package
// k8s.io/apiserver/pkg/server/options/encryptionconfig). protobufMark opens one in its own wire format
// (k8s.io/apimachinery/pkg/runtime/serializer/protobuf).
const (
	encryptedMark = "k8s:enc:"
	protobufMark  = "k8s\x00"
)

// objectCensus counts objects key by key.
type objectCensus struct {
	// cover hides the names of resources that are not Kubernetes' own, because they are parts of keys; nil to hide none.
	cover      func(ledger.Key) ledger.Key
	resources  map[string]*recovery.Resource
	objects    int64
	recognised bool // a value is one that only an API server writes
}

// objectOf tells of which resource an object is by its key, and how it is encrypted; and whether its value is one that only an API
// server writes. It keeps nothing of the value.
func objectOf(key string, value []byte) (resource, provider string, written bool) {
	resource, ok := resourceOf(key)
	if !ok {
		return "", "", false
	}
	rest, encrypted := bytes.CutPrefix(value, []byte(encryptedMark))
	if encrypted {
		provider = providerOf(rest)
	}
	return resource, provider, encrypted || bytes.HasPrefix(value, []byte(protobufMark))
}

// count counts one object that is there; nothing for what is none.
func (c *objectCensus) count(resource, provider string, written bool) {
	if resource == "" {
		return
	}
	if c.resources == nil {
		c.resources = map[string]*recovery.Resource{}
	}
	if c.resources[resource] == nil && len(c.resources) >= maxResources {
		resource = otherResources
	}
	r := c.resources[resource]
	if r == nil {
		r = &recovery.Resource{Name: resource}
		c.resources[resource] = r
	}
	c.objects++
	r.Objects++
	c.recognised = c.recognised || written
	if provider == "" {
		return
	}
	r.Encrypted++
	if !slices.Contains(r.Providers, provider) {
		r.Providers = append(r.Providers, provider)
	}
}

// result returns nil if nothing shows that an API server wrote any of it.
func (c *objectCensus) result() *recovery.Kubernetes {
	if !c.recognised {
		return nil
	}
	k := &recovery.Kubernetes{Objects: c.objects}
	for _, r := range c.resources {
		slices.Sort(r.Providers)
		if c.cover != nil && !slices.Contains(ownResources(), r.Name) && r.Name != otherResources {
			r.Name = string(c.cover(ledger.Key(r.Name)))
		}
		k.Resources = append(k.Resources, *r)
	}
	slices.SortFunc(k.Resources, func(a, b recovery.Resource) int { return cmp.Compare(a.Name, b.Name) })
	return k
}

// ownResources are those that Kubernetes itself has.
func ownResources() []string {
	return strings.Fields(`apiservices.apiregistration.k8s.io certificatesigningrequests clusterrolebindings clusterroles configmaps
		controllerrevisions cronjobs csidrivers csinodes csistoragecapacities customresourcedefinitions.apiextensions.k8s.io daemonsets
		deployments deviceclasses endpoints endpointslices events flowschemas health horizontalpodautoscalers ingressclasses ingresses
		ipaddresses jobs leases limitranges masterleases mutatingwebhookconfigurations namespaces networkpolicies nodes peerserverleases
		persistentvolumeclaims persistentvolumes poddisruptionbudgets pods podtemplates priorityclasses prioritylevelconfigurations ranges
		replicasets replicationcontrollers resourceclaims resourceclaimtemplates resourcequotas resourceslices rolebindings roles
		runtimeclasses secrets serviceaccounts servicecidrs services statefulsets storageclasses
		validatingadmissionpolicies validatingadmissionpolicybindings validatingwebhookconfigurations volumeattachments
		volumeattributesclasses`)
}

// providerOf names the provider if it is one of those that there are: what follows the mark is somebody's data otherwise.
func providerOf(rest []byte) string {
	name, _, _ := bytes.Cut(rest[:min(len(rest), 32)], []byte(":"))
	for _, known := range []string{"aescbc", "aesgcm", "secretbox", "kms"} {
		if string(name) == known {
			return known
		}
	}
	return "unknown"
}

// resourceOf tells of which resource the key is, which is not always its own word for it (the API server's
// pkg/registry/core/rest/storage_core.go and pkg/kubeapiserver/default_storage_factory_builder.go). OpenShift has prefixes of
// its own.
func resourceOf(key string) (string, bool) {
	for _, prefix := range []string{"/registry/", "/kubernetes.io/", "/openshift.io/"} {
		rest, found := strings.CutPrefix(key, prefix)
		if !found {
			continue
		}
		parts := strings.Split(rest, "/")
		switch {
		case parts[0] == "":
			return "", false
		case parts[0] == "services" && len(parts) > 1 && parts[1] == "endpoints":
			return "endpoints", true
		case strings.Contains(parts[0], ".") && len(parts) > 2: // a group, and then the resource
			return parts[1] + "." + parts[0], true
		case parts[0] == "minions":
			return "nodes", true
		case parts[0] == "controllers":
			return "replicationcontrollers", true
		case parts[0] == "ingress":
			return "ingresses", true
		}
		return parts[0], true
	}
	return "", false
}
