package scenarios_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
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
	// What follows is for the page of scenarios only.
	disaster, way, size, file string
	texts                     []string // from the disaster down to the entry
	numbers, versions, issues []string
	slow                      bool
}

// catalogueOf reads the specs of a preview. A scenario is named after its labels: disaster, way back, size, and
// versions where it asks for others than the default.
func catalogueOf(preview Report) catalogue {
	var all catalogue
	for _, spec := range preview.SpecReports {
		if spec.LeafNodeType != types.NodeTypeIt {
			continue // the suite's own setup
		}
		all = append(all, scenarioOf(spec))
	}
	slices.SortFunc(all, func(a, b scenario) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func scenarioOf(spec SpecReport) scenario {
	s := scenario{
		disaster: strings.Join(labelled(spec, "disaster:"), "/"), way: strings.Join(labelled(spec, "via:"), "/"),
		size: strings.Join(labelled(spec, "size:"), "/"), file: filepath.Base(spec.LeafNodeLocation.FileName),
		texts:    append(slices.Clone(spec.ContainerHierarchyTexts), spec.LeafNodeText),
		versions: versionsOf(spec), issues: labelled(spec, "issue:"), slow: slices.Contains(spec.Labels(), "full"),
	}
	for _, label := range spec.Labels() {
		if number.MatchString(label) {
			s.numbers = append(s.numbers, label)
		}
	}
	name := []string{s.disaster, s.way, s.size, strings.Join(s.versions, "-to-")}
	s.Name = strings.Join(slices.DeleteFunc(name, func(part string) bool { return part == "" }), "/")
	s.Text = strings.Join(s.texts[1:], ": ")
	return s
}

// number is how a scenario is known in docs/scenarios.md.
var number = regexp.MustCompile(`^[ABC]\d+$`)

// labelled returns what stands behind this key in the labels of a spec.
func labelled(spec SpecReport, key string) []string {
	var values []string
	for _, label := range spec.Labels() {
		if value, found := strings.CutPrefix(label, key); found {
			values = append(values, value)
		}
	}
	return values
}

// versionsOf returns the versions that the labels of a spec name: the one that is lost and, if it is another, the one that is
// restored on.
func versionsOf(spec SpecReport) []string { return labelled(spec, "version:") }

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
	page, err := c.page()
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(cataloguePath(), text, 0o644), os.WriteFile(pagePath(), []byte(page), 0o644))
}

// describe declares the specs that hold the stored catalogue against these scenarios.
func (c catalogue) describe() {
	It("lists every scenario and no other", func() {
		stored := must(os.ReadFile(cataloguePath()))
		Expect(string(stored)).To(Equal(string(must(c.text()))), "renew it: go test ./scenarios -update")
	})
	It("is what the page of scenarios shows", func() {
		Expect(string(must(os.ReadFile(pagePath())))).To(Equal(must(c.page())), "renew it: go test ./scenarios -update")
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
