package scenarios_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pagePath is the page on which people read what must be true. What stands between its marks is written from the specs.
func pagePath() string { return filepath.Join("..", "docs", "scenarios.md") }

// page is the page of scenarios with its written parts renewed.
func (c catalogue) page() (string, error) {
	text, err := os.ReadFile(pagePath())
	if err != nil {
		return "", err
	}
	page := string(text)
	for mark, table := range map[string]string{"specs": c.table(), "issues": c.issueTable()} {
		begin, end := "<!-- "+mark+" -->\n", "<!-- /"+mark+" -->"
		head, rest, found := strings.Cut(page, begin)
		_, tail, closed := strings.Cut(rest, end)
		if !found || !closed {
			return "", fmt.Errorf("%s has no place for the %s, between %q and %q", pagePath(), mark, begin, end)
		}
		page = head + begin + table + end + tail
	}
	return page, nil
}

// row is what several specs have in common that differ in size or version.
type row struct {
	scenario
	sizes, runs []string
}

// table lists every scenario, one line for those that differ in size or version only, by number and then by disaster.
func (c catalogue) table() string {
	var rows []*row
	for _, s := range c {
		at := slices.IndexFunc(rows, func(r *row) bool {
			return r.disaster == s.disaster && r.way == s.way && slices.Equal(r.numbers, s.numbers)
		})
		if at < 0 {
			at = len(rows)
			rows = append(rows, &row{scenario: s})
		}
		r := rows[at]
		r.texts = shared(r.texts, s.texts) // the entry of a table says what differs
		r.sizes = appendNew(r.sizes, s.size)
		r.runs = appendNew(r.runs, strings.Join(s.versions, " to "))
	}
	slices.SortStableFunc(rows, func(a, b *row) int {
		return cmp.Or(cmp.Compare(rank(a.numbers), rank(b.numbers)), cmp.Compare(a.disaster, b.disaster))
	})
	var text strings.Builder
	text.WriteString("| | disaster | way back | members | etcd | must be true |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&text, "| %s | [%s](../scenarios/%s) | %s | %s | %s | %s |\n",
			strings.Join(r.numbers, ", "), spaced(r.disaster), r.file, spaced(r.way), strings.Join(r.sizes, ", "),
			strings.Join(r.runs, ", "), cell(strings.Join(r.texts[1:], ": ")))
	}
	return text.String()
}

// shared returns what both begin with.
func shared(a, b []string) []string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

func appendNew(list []string, value string) []string {
	if value == "" || slices.Contains(list, value) {
		return list
	}
	return append(list, value)
}

// rank puts A2 before A10, and what has no number last.
func rank(numbers []string) int {
	if len(numbers) == 0 {
		return 1 << 20
	}
	n, err := strconv.Atoi(numbers[0][1:])
	if err != nil {
		return 1 << 20
	}
	return int(numbers[0][0])<<10 + n
}

func spaced(label string) string { return strings.ReplaceAll(label, "-", " ") }

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// issueTable lists what users reported, each with the scenarios that would have caught it.
func (c catalogue) issueTable() string {
	by := map[string][]scenario{}
	for _, s := range c {
		for _, issue := range s.issues {
			by[issue] = append(by[issue], s)
		}
	}
	var text strings.Builder
	text.WriteString("| reported as | caught by |\n|---|---|\n")
	for _, issue := range slices.Sorted(maps.Keys(by)) {
		var links []string
		for _, s := range by[issue] {
			name := strings.Join(slices.DeleteFunc([]string{strings.Join(s.numbers, ", "), spaced(s.disaster), spaced(s.way)},
				func(part string) bool { return part == "" }), " · ")
			links = appendNew(links, fmt.Sprintf("[%s](../scenarios/%s)", name, s.file))
		}
		fmt.Fprintf(&text, "| [%s](%s) | %s |\n", issue, urlOf(issue), strings.Join(links, "; "))
	}
	return text.String()
}

// homes are the owners of the repositories that issue labels name.
var homes = map[string]string{
	"etcd": "etcd-io", "bbolt": "etcd-io", "raft": "etcd-io", "kubernetes": "kubernetes", "etcd-backup-restore": "gardener",
	"etcd-druid": "gardener", "k3s": "k3s-io", "rke": "rancher", "rke2": "rancher", "talos": "siderolabs",
	"kamaji-etcd": "clastix", "k8s-snap": "canonical", "etcd-operator": "coreos",
}

var issueLabel = regexp.MustCompile(`^([a-z0-9-]+)#(\d+)$`)

func urlOf(issue string) string {
	parts := issueLabel.FindStringSubmatch(issue)
	if parts == nil || homes[parts[1]] == "" {
		panic("a spec has the label issue:" + issue + ", which names no repository that page_test.go knows")
	}
	return fmt.Sprintf("https://github.com/%s/%s/issues/%s", homes[parts[1]], parts[1], parts[2])
}
