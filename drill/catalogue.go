package drill

import (
	_ "embed"
	"encoding/json"
	"strings"

	"github.com/etcd-drill/etcd-drill/faults"
	"github.com/etcd-drill/etcd-drill/harness"
	"github.com/etcd-drill/etcd-drill/recovery"
)

// Listing is what there is to rehearse, and what of it works on this host.
type Listing struct {
	Groups []Group `json:"groups"`
}

// Group is one kind of thing in a Listing.
type Group struct {
	Title string `json:"title"` // "runtimes", "faults", "routes" or "scenarios"
	Items []Item `json:"items"`
}

// Item is one line of a Listing.
type Item struct {
	Name      string `json:"name"`
	Text      string `json:"text"`
	Supported bool   `json:"supported"`
	Reason    string `json:"reason,omitempty"` // why it is not supported
}

// scenarios.json is written by the scenario suite from its own specs; a test of that suite keeps it current.
//
//go:embed scenarios.json
var scenarios []byte

// Catalogue lists everything, as if all of it were supported.
func Catalogue() Listing {
	listing := Listing{Groups: []Group{
		{Title: groupRuntimes, Items: []Item{
			{Name: "docker", Text: "members are containers of an engine that speaks Docker's API"},
			{Name: "process", Text: "members are plain processes of this machine"},
		}},
		{Title: "faults", Items: []Item{
			{Name: "kill", Text: "SIGKILL; data stays, what was not flushed is only in the write-ahead log"},
			{Name: "pause", Text: "freeze; connections stay open and nothing answers"},
			{Name: "stop", Text: "SIGTERM; the backend is flushed"},
			{Name: faults.NameWipe, Text: "SIGKILL, then the data directory is destroyed"},
		}},
		routes(),
		{Title: "scenarios"},
	}}
	var known []Item
	if err := json.Unmarshal(scenarios, &known); err != nil {
		panic("the embedded scenarios.json is not JSON: " + err.Error()) // a build of this program that no test has seen
	}
	listing.Groups[len(listing.Groups)-1].Items = known
	for _, group := range listing.Groups {
		for i := range group.Items {
			group.Items[i].Supported = true
		}
	}
	return listing
}

// routes lists the ways back as --route takes them.
func routes() Group {
	group := Group{Title: "routes"}
	for _, route := range recovery.Routes() {
		group.Items = append(group.Items, Item{Name: string(route), Text: route.Text() + "; loses " + route.Loses()})
	}
	return group
}

const groupRuntimes = "runtimes"

// Absent marks the runtimes that are not on this host, each with the reason that stands under its name.
func (l Listing) Absent(reasons map[string]error) {
	for _, group := range l.Groups {
		for i, item := range group.Items {
			if reason := reasons[item.Name]; group.Title == groupRuntimes && reason != nil {
				group.Items[i].Supported, group.Items[i].Reason = false, reason.Error()
			}
		}
	}
}

// Apply marks what these abilities do not allow, with the reason.
func (l Listing) Apply(abilities harness.Abilities) {
	if abilities.Freeze == nil {
		return
	}
	for _, group := range l.Groups {
		for i := range group.Items {
			if name := group.Items[i].Name; name == "pause" || strings.Contains(name, "/thaw/") {
				group.Items[i].Supported, group.Items[i].Reason = false, abilities.Freeze.Error()
			}
		}
	}
}

// Unsupported marks everything but the runtimes as not supported for this reason.
func (l Listing) Unsupported(reason error) {
	for _, group := range l.Groups {
		if group.Title == groupRuntimes {
			continue
		}
		for i := range group.Items {
			group.Items[i].Supported, group.Items[i].Reason = false, reason.Error()
		}
	}
}
