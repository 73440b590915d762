package drill

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// covers tells whether the names of keys are hidden in everything that the drill writes.
func (d *Drill) covers() bool { return d.spec.Own != nil && d.spec.Own.Redact }

// coverer returns what hides the names of keys, for one goroutine; they stay as they are where nobody asked for it.
func (d *Drill) coverer() func(ledger.Key) ledger.Key {
	if !d.covers() {
		return func(key ledger.Key) ledger.Key { return key }
	}
	return ledger.Coverer(d.opts.DigestKey)
}

// coverPairs hides the names of keys in a keyspace on its way to a file. Hidden names come in another order, so the pairs are
// sorted again, outside of memory; flush writes them.
func (d *Drill) coverPairs(write func(ledger.Pair) error) (take func(ledger.Pair) error, flush func() error, err error) {
	if !d.covers() {
		return write, func() error { return nil }, nil
	}
	scratch, err := newSpill(d.run.WorkDir())
	if err != nil {
		return nil, nil, err
	}
	sorter := ledger.NewSorter(func(a, b ledger.Pair) int { return cmp.Compare(a.Key, b.Key) }, scratch.file)
	cover := d.coverer()
	take = func(p ledger.Pair) error {
		p.Key = cover(p.Key)
		return sorter.Add(p)
	}
	flush = func() (err error) {
		defer func() { err = errors.Join(err, scratch.remove()) }()
		sorted, err := sorter.Sorted()
		if err != nil {
			return err
		}
		for p, err := range sorted {
			if err == nil {
				err = write(p)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return take, flush, nil
}

// coverRecords hides the names of keys in a history, which is sorted by revision.
func (d *Drill) coverRecords(write func(ledger.Record) error) func(ledger.Record) error {
	cover := d.coverer()
	return func(r ledger.Record) error {
		r.Key = cover(r.Key)
		return write(r)
	}
}

// scrub is what becomes of a line of etcd's log where the names of keys are hidden; nil where they are not. etcd names keys when it
// is slow (server/etcdserver/util.go, warnOfExpensiveRequest), and in whatever it says when it gives up.
func (d *Drill) scrub() func(line string) (kept string, keep bool) {
	if !d.covers() {
		return nil
	}
	return scrubLine
}

// scrubLine keeps of a line what cannot name a key: level, time, place, message, numbers, and a few fields that are known. Anything
// else that etcd or Go's runtime prints is left out, and its length told.
func scrubLine(line string) (string, bool) {
	var fields map[string]any
	if json.Unmarshal([]byte(line), &fields) != nil {
		if strings.TrimSpace(line) == "" {
			return "", false
		}
		return fmt.Sprintf("(a line of %d bytes is left out: it may name keys)", len(line)), true
	}
	for name, value := range fields {
		switch value.(type) {
		case float64, bool:
		case string:
			if !saysNoKey(name) {
				fields[name] = "(left out)"
			}
		default:
			fields[name] = "(left out)"
		}
	}
	text, err := json.Marshal(fields)
	return string(text), err == nil
}

// saysNoKey knows the fields of etcd's log that hold text which is no part of a request.
func saysNoKey(field string) bool {
	known := []string{
		"level", "ts", "caller", "msg", "logger", "took", "expected-duration", "etcd-version", "git-sha", "go-version", "go-os", "go-arch",
		"name", "data-dir", "wal-dir", "address", "signal", "from", "to", "cluster-version", "path",
	}
	return slices.Contains(known, field) || strings.HasSuffix(field, "-id") || strings.HasSuffix(field, "-took") ||
		strings.HasSuffix(field, "-version") || strings.HasSuffix(field, "-urls")
}
