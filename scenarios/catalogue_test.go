package scenarios_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
)

// catalogue lists every scenario of this suite, sorted by name: what `etcd-drill list` shows.
type catalogue []scenario

type scenario struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// catalogueOf reads the specs of a preview. A scenario is named after its labels: disaster, way back, size, and
// versions where it asks for others than the default.
func catalogueOf(preview Report) catalogue {
	var all catalogue
	for _, spec := range preview.SpecReports {
		if spec.LeafNodeType != types.NodeTypeIt {
			continue // the suite's own setup
		}
		var name []string
		for _, key := range []string{"disaster:", "via:", "size:"} {
			for _, label := range spec.Labels() {
				if value, found := strings.CutPrefix(label, key); found {
					name = append(name, value)
				}
			}
		}
		if versions := versionsOf(spec); len(versions) > 0 {
			name = append(name, strings.Join(versions, "-to-"))
		}
		texts := append(slices.Clone(spec.ContainerHierarchyTexts), spec.LeafNodeText)
		all = append(all, scenario{Name: strings.Join(name, "/"), Text: strings.Join(texts[1:], ": ")})
	}
	slices.SortFunc(all, func(a, b scenario) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// versionsOf returns the versions that the labels of a spec name: the one that is lost and, if it is another, the one that is
// restored on.
func versionsOf(spec SpecReport) []string {
	var versions []string
	for _, label := range spec.Labels() {
		if version, found := strings.CutPrefix(label, "version:"); found {
			versions = append(versions, version)
		}
	}
	return versions
}

// versionsToRun returns the versions that the chosen specs of a preview name.
func versionsToRun(preview Report) []string {
	var versions []string
	for _, spec := range preview.SpecReports {
		if spec.State != types.SpecStateSkipped {
			versions = append(versions, versionsOf(spec)...)
		}
	}
	slices.Sort(versions)
	return slices.Compact(versions)
}

// cataloguePath is where package drill embeds it from.
func cataloguePath() string { return filepath.Join("..", "drill", "scenarios.json") }

func (c catalogue) text() ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(c)
	return text.Bytes(), err
}

func (c catalogue) write() error {
	text, err := c.text()
	if err != nil {
		return err
	}
	return os.WriteFile(cataloguePath(), text, 0o644)
}

// describe declares the specs that hold the stored catalogue against these scenarios.
func (c catalogue) describe() {
	It("lists every scenario and no other", func() {
		stored := must(os.ReadFile(cataloguePath()))
		Expect(string(stored)).To(Equal(string(must(c.text()))), "renew it: go test ./scenarios -update")
	})
	It("names every scenario differently, after a disaster and a way back", func() {
		Expect(c).NotTo(BeEmpty())
		seen := map[string]string{}
		for _, s := range c {
			Expect(strings.Split(s.Name, "/")).To(Or(HaveLen(2), HaveLen(3), HaveLen(4)), "labels of %q", s.Text)
			Expect(seen).NotTo(HaveKey(s.Name), "%q and %q", s.Text, seen[s.Name])
			seen[s.Name] = s.Text
		}
	})
}
