package serve

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/etcd-drill/etcd-drill/recovery"
)

func TestKeysOfAnAPIServerTellTheirResource(t *testing.T) {
	for key, want := range map[string]string{
		"/registry/pods/default/web-0":                                     "pods",
		"/registry/minions/node-1":                                         "nodes",
		"/registry/services/specs/default/web":                             "services",
		"/registry/services/endpoints/default/web":                         "endpoints",
		"/registry/apiregistration.k8s.io/apiservices/v1.apps":             "apiservices.apiregistration.k8s.io",
		"/registry/cert-manager.io/certificates/default/web":               "certificates.cert-manager.io",
		"/registry/controllers/default/old":                                "replicationcontrollers",
		"/registry/health":                                                 "health",
		"/kubernetes.io/secrets/default/web":                               "secrets",
		"/openshift.io/oauth/clients/console":                              "oauth",
		"/registry/":                                                       "",
		"/registry":                                                        "",
		"compact_rev_key":                                                  "",
		"/elsewhere/registry/pods/default/web-0":                           "",
		"/registry/example.com/":                                           "example.com",
		"/registry/events/default/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t": "events",
	} {
		got, ok := resourceOf(key)
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q, %t", key, got, ok)
		}
	}
}

func TestObjectsAreCountedAndNothingOfThemIsKept(t *testing.T) {
	var c objectCensus
	c.see("/registry/secrets/default/a", []byte("k8s:enc:aescbc:v1:key-of-march:\x00\x01secret"))
	c.see("/registry/secrets/default/b", []byte("k8s:enc:kms:v2:key-of-march:\x00\x01secret"))
	c.see("/registry/secrets/default/c", []byte("k8s\x00\n\x0c\n\x02v1secret"))
	c.see("/registry/secrets/default/d", []byte("k8s:enc:a-secret-without-a-provider"))
	c.see("/registry/example.com/widgets/default/d", []byte(`{"kind":"Widget"}`))
	c.see("/other/key", []byte("k8s\x00"))
	want := &recovery.Kubernetes{Objects: 5, Resources: []recovery.Resource{
		{Name: "secrets", Objects: 4, Encrypted: 3, Providers: []string{"aescbc", "kms", "unknown"}},
		{Name: "widgets.example.com", Objects: 1},
	}}
	got := c.result()
	if !reflect.DeepEqual(got, want) || got.Encrypted() != 3 {
		t.Errorf("got %+v", got)
	}
	text, err := json.Marshal(got)
	if err != nil || strings.Contains(string(text), "march") || strings.Contains(string(text), "a-secret") {
		t.Errorf("%s, %v", text, err)
	}
}

func TestWhatOnlyLooksLikeAnAPIServersIsNot(t *testing.T) {
	var c objectCensus
	c.see("/registry/pods/default/a", []byte("mine"))
	c.see("/mine", []byte("k8s\x00"))
	if got := c.result(); got != nil || got.Encrypted() != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestResourcesWithoutEndAreBounded(t *testing.T) {
	var c objectCensus
	for i := range maxResources + 500 {
		c.see("/registry/kind-"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+strings.Repeat("y", i/26), []byte("k8s\x00"))
	}
	got := c.result()
	if len(got.Resources) > maxResources+1 || got.Objects != maxResources+500 || got.Resources[0].Name != otherResources {
		t.Errorf("%d resources of %d objects, first %q", len(got.Resources), got.Objects, got.Resources[0].Name)
	}
}

// see counts an object by its key and value.
func (c *objectCensus) see(key string, value []byte) { c.count(objectOf(key, value)) }
