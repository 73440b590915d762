package docker

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// imageEngine speaks as much of the engine's API as a search for an image needs. Its images are known by reference and
// print a version.
type imageEngine struct {
	mu       sync.Mutex
	refs     map[string]string // reference → ID
	versions map[string]string // ID → version
	labelled []string          // IDs that a search by label finds
	registry map[string]func(w http.ResponseWriter, r *http.Request, e *imageEngine)

	calls      []string // what was asked, in order: "pull REF", "import REF", "run ID", "remove REF"
	containers map[string]string
	imported   map[string]tar.Header
	changes    []string
}

func newImageEngine(t *testing.T) (*imageEngine, *client.Client) {
	t.Helper()
	e := &imageEngine{
		refs: map[string]string{}, versions: map[string]string{}, containers: map[string]string{},
		registry: map[string]func(http.ResponseWriter, *http.Request, *imageEngine){}, imported: map[string]tar.Header{},
	}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	c, err := client.New(client.WithHost("tcp://"+server.Listener.Addr().String()), client.WithAPIVersion("1.41"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return e, c
}

func (e *imageEngine) has(ref, version string) {
	id := "sha256:" + strings.NewReplacer("/", "-", ":", "-").Replace(ref)
	e.refs[ref], e.refs[id], e.versions[id] = id, id, version
}

func (e *imageEngine) did() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.calls)
}

func (e *imageEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1.41")
	switch {
	case path == "/version":
		reply(w, map[string]any{"Version": "20.10.24+x1", "Os": "linux", "Arch": "arm64"})
	case path == "/images/create" && r.URL.Query().Get("fromSrc") == "-":
		e.importImage(w, r)
	case path == "/images/create":
		e.pull(w, r)
	case path == "/images/json":
		e.list(w, r)
	case strings.HasPrefix(path, "/images/"):
		e.image(w, r, strings.TrimPrefix(path, "/images/"))
	case strings.HasPrefix(path, "/containers/"):
		e.container(w, r, strings.Split(strings.TrimPrefix(path, "/containers/"), "/"))
	default:
		http.Error(w, `{"message":"unexpected request"}`, http.StatusTeapot)
	}
}

func (e *imageEngine) pull(w http.ResponseWriter, r *http.Request) {
	ref := r.URL.Query().Get("fromImage") + ":" + r.URL.Query().Get("tag")
	e.mu.Lock()
	e.calls = append(e.calls, "pull "+ref)
	serve := e.registry[ref]
	e.mu.Unlock()
	if serve == nil {
		serve = unreachable
	}
	serve(w, r, e)
}

// unreachable is what an engine without a way to the registry answers.
func unreachable(w http.ResponseWriter, _ *http.Request, _ *imageEngine) {
	w.WriteHeader(http.StatusInternalServerError)
	reply(w, map[string]string{"message": `Get "https://r.example/v2/": dial tcp: lookup r.example: no such host`})
}

// denied is what it passes on from a registry that has no such image for us.
func denied(w http.ResponseWriter, _ *http.Request, _ *imageEngine) {
	w.WriteHeader(http.StatusNotFound)
	reply(w, map[string]string{"message": "manifest unknown"})
}

// hangs sends one message and then nothing more.
func hangs(w http.ResponseWriter, r *http.Request, _ *imageEngine) {
	reply(w, map[string]any{"id": "a", "status": "Downloading", "progressDetail": map[string]int{"current": 1, "total": 9}})
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// serves pulls an image that prints this version.
func serves(ref, version string) func(http.ResponseWriter, *http.Request, *imageEngine) {
	return func(w http.ResponseWriter, _ *http.Request, e *imageEngine) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.has(ref, version)
		reply(w, map[string]string{"status": "Pull complete", "id": "a"})
	}
}

func (e *imageEngine) importImage(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ref := r.URL.Query().Get("repo")
	e.calls, e.changes = append(e.calls, "import "+ref), r.URL.Query()["changes"]
	archive, version := tar.NewReader(r.Body), ""
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			reply(w, map[string]any{"errorDetail": map[string]string{"message": err.Error()}})
			return
		}
		e.imported[header.Name] = *header
		if header.Name == "usr/local/bin/etcd" {
			content, _ := io.ReadAll(archive)
			version = string(content)
		}
	}
	e.has(ref, version)
	reply(w, map[string]string{"status": e.refs[ref]})
}

func (e *imageEngine) list(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := []map[string]any{}
	if strings.Contains(r.URL.Query().Get("filters"), labelImageRecipe) {
		for _, id := range e.labelled {
			found = append(found, map[string]any{"Id": id, "RepoTags": []string{"<none>:<none>"}})
		}
	}
	reply(w, found)
}

func (e *imageEngine) image(w http.ResponseWriter, r *http.Request, rest string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ref := strings.TrimSuffix(rest, "/json")
	id, known := e.refs[ref]
	switch {
	case !known:
		w.WriteHeader(http.StatusNotFound)
		reply(w, map[string]string{"message": "No such image: " + ref})
	case r.Method == http.MethodDelete:
		e.calls = append(e.calls, "remove "+ref)
		delete(e.refs, ref)
		reply(w, []any{})
	default:
		reply(w, map[string]string{"Id": id})
	}
}

func (e *imageEngine) container(w http.ResponseWriter, r *http.Request, path []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case path[0] == "create":
		var request struct {
			Image  string
			Labels map[string]string
		}
		if json.NewDecoder(r.Body).Decode(&request) != nil || request.Labels[labelProbe] != "1" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		e.calls = append(e.calls, "run "+request.Image)
		e.containers[r.URL.Query().Get("name")] = request.Image
		w.WriteHeader(http.StatusCreated)
		reply(w, map[string]string{"Id": "c"})
	case path[0] == "json":
		reply(w, []any{})
	case r.Method == http.MethodDelete:
		delete(e.containers, path[0])
		w.WriteHeader(http.StatusNoContent)
	case path[1] == "start":
		w.WriteHeader(http.StatusNoContent)
	case path[1] == "wait":
		reply(w, map[string]int{"StatusCode": 0})
	case path[1] == "logs":
		text := fmt.Sprintf("etcd Version: %s\nGo Version: go1\n", e.versions[e.containers[path[0]]])
		frame := append([]byte{byte(stdcopy.Stdout), 0, 0, 0, 0, 0, 0, byte(len(text))}, text...)
		_, _ = w.Write(frame)
	}
}

func reply(w io.Writer, value any) { _ = json.NewEncoder(w).Encode(value) }
