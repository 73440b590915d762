package drill

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/report"
)

// Render writes the stored drill in this folder as one HTML page to this file, which is replaced if it exists; with an empty name to
// report.html in the folder. It returns the file's name. Nothing else is changed, and on an error the old file stays. A folder
// without a report is an error that wraps ErrNoDrill.
func Render(path, file string) (string, error) {
	f := folder(path)
	if file == "" {
		file = f.page()
	}
	stored, err := f.readReport()
	if err != nil {
		return "", err
	}
	stored.Folder = path
	return file, f.render(stored, file)
}

// RenderTo is Render to a writer.
func RenderTo(w io.Writer, path string) error {
	f := folder(path)
	stored, err := f.readReport()
	if err != nil {
		return err
	}
	stored.Folder = path
	return f.writePage(w, stored)
}

func (f folder) readReport() (report.Report, error) {
	file, err := os.Open(f.report())
	if errors.Is(err, fs.ErrNotExist) {
		return report.Report{}, fmt.Errorf("%w: %s has no report.json; name the folder that a drill printed", ErrNoDrill, f)
	}
	if err != nil {
		return report.Report{}, fmt.Errorf("read report: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	stored, err := report.Read(file)
	if err != nil {
		return report.Report{}, fmt.Errorf("%s: %w", f.report(), err)
	}
	return stored, nil
}

// keepReport writes the report in every form that stays in the folder. What is rendered is what is stored: times that are fresh
// carry a second clock, which a file cannot hold, and differ by a hair from those that are read again.
func (f folder) keepReport(r report.Report) error {
	var stored report.Report
	if err := errors.Join(writeJSON(f.report(), r), readJSON(f.report(), &stored)); err != nil {
		return err
	}
	return errors.Join(f.render(stored, f.page()),
		replace(f.junit(), func(w io.Writer) error { return report.WriteJUnit(w, stored) }))
}

// attest adds to the evidence what was drilled and what the verdict is. Of a drill that ended before its members were compared it
// is all there is.
func (f folder) attest(r report.Report, drilled report.Drilled) error {
	attested := r.Attest(drilled)
	var whole any = struct {
		Attestation report.Attestation `json:"attestation"`
	}{attested}
	var s stored
	switch err := readJSON(f.evidence(), &s); {
	case err == nil:
		s.Attestation = &attested
		whole = s
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return replace(f.evidence(), func(w io.Writer) error {
		lines := json.NewEncoder(w)
		lines.SetIndent("", "  ")
		return lines.Encode(whole)
	})
}

// render makes the page beside its place and moves it there when it is whole.
func (f folder) render(r report.Report, file string) error {
	return replace(file, func(w io.Writer) error { return f.writePage(w, r) })
}

func (f folder) writePage(w io.Writer, r report.Report) error {
	page := report.Page{Report: r}
	events, err := ReadEvents(f.events())
	if err != nil {
		return err
	}
	page.Turns, page.Moments = turnsOf(events), momentsOf(events)
	if _, err := os.Stat(f.ledger()); err == nil {
		page.Ledger = ledger.ReadEntries(opener(f.ledger()))
	}
	return report.WriteHTML(w, page)
}

// replace writes a file anew, or leaves the old one as it is.
func replace(path string, write func(io.Writer) error) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("write %s: it is there and no regular file", path)
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-") // 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", filepath.Base(path), err), os.Remove(file.Name()))
		}
	}()
	buffered := bufio.NewWriter(file)
	if err := errors.Join(write(buffered), buffered.Flush(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// ReadEvents reads an event log. One that is not there is empty, and one that was cut is read as far as it goes: it is written while
// the drill runs, and tells the more the earlier the drill died. It is the file events.jsonl of a drill folder.
func ReadEvents(path string) ([]Event, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read event log: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	var events []Event
	for lines := json.NewDecoder(file); ; {
		var e Event
		if err := lines.Decode(&e); err != nil {
			return events, nil // the end, or a line that was cut
		}
		events = append(events, e)
	}
}

func turnsOf(all []Event) report.Turns {
	log := events{all: all}
	turns := report.Turns{
		Healed: log.at(EventHealed), AllDown: log.at(EventAllDown), Started: log.at(EventStarted),
		Fencing: log.at(EventFencing), Fenced: log.at(EventFenced), Joined: map[string]time.Time{},
	}
	for _, e := range all {
		if e.Name == EventCaughtUp {
			turns.Joined[e.Text] = e.At
		}
	}
	return turns
}

func momentsOf(all []Event) []report.Moment {
	var moments []report.Moment
	for _, e := range all {
		moments = append(moments, report.Moment{At: e.At, Name: string(e.Name), Text: e.Text})
	}
	return moments
}
