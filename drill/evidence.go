package drill

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
	"github.com/etcd-drill/etcd-drill/internal/report"
	"github.com/etcd-drill/etcd-drill/internal/verify"
)

// stored is evidence.json: the plain part of the evidence. The streams lie beside it under their own names.
type stored struct {
	Outage   verify.Outage   `json:"outage"`
	Source   *verify.Source  `json:"source,omitempty"`
	Reborn   []verify.Member `json:"reborn"`
	Members  int             `json:"members"`
	Identity verify.Identity `json:"identity"`
	Fence    *verify.Fence   `json:"fence,omitempty"`
	// Roster, Disarmed and Watches are those of verify.Evidence.
	Roster   []ledger.MemberSeat `json:"roster,omitempty"`
	Disarmed []ledger.Alarm      `json:"disarmed,omitempty"`
	Watches  []verify.Watch      `json:"watches,omitempty"`
	Canary   verify.Canary       `json:"canary"`
	Demands  verify.Demands      `json:"demands"`
	// The rest is of a backup of somebody's own.
	Witness   verify.Witness    `json:"witness,omitempty"`
	Manifest  *verify.Manifest  `json:"manifest,omitempty"`
	Freshness *verify.Freshness `json:"freshness,omitempty"`
	Living    []verify.Said     `json:"living,omitempty"`
	// Attestation is for people and auditors. It is added when the drill has ended, and no judge looks at it.
	Attestation *report.Attestation `json:"attestation,omitempty"`
}

// evidence joins the plain part with the streams of the folder.
func (f folder) join(s stored) verify.Evidence {
	ev := verify.Evidence{
		Ledger: ledger.ReadEntries(opener(f.ledger())),
		Outage: s.Outage, Source: s.Source, Reborn: s.Reborn, Members: s.Members,
		Identity: s.Identity, Fence: s.Fence, Canary: s.Canary, Demands: s.Demands,
		Roster: s.Roster, Disarmed: s.Disarmed, Watches: s.Watches,
		Witness: s.Witness, Manifest: s.Manifest, Freshness: s.Freshness, Living: s.Living,
	}
	if s.Witness == verify.BySource {
		ev.Ledger = nil // nobody kept one
	}
	if ev.Source != nil {
		ev.Source.History, ev.Source.Keyspace = f.history(sourceName), f.keyspace(sourceName)
		ev.Source.Leases = f.leases(sourceName) // nobody reads them without a State
	}
	for i := range ev.Reborn {
		m := &ev.Reborn[i]
		if m.ReadAt != 0 && m.Extent != verify.HashOnly { // otherwise the member had nothing to show
			m.Keyspace = f.keyspace(m.Name)
		}
		if m.ReadAt != 0 && m.Extent == verify.Everything {
			m.History = f.history(m.Name)
		}
		if m.State != nil {
			m.Leases = f.leases(m.Name)
		}
	}
	f.findSame(&ev)
	return ev
}

// findSame marks what members show that is the reference's, byte for byte, which it is in most drills. What cannot be read is left to
// the judge, who says so.
func (f folder) findSame(ev *verify.Evidence) {
	reference := sourceName
	if ev.Source == nil && len(ev.Reborn) > 0 {
		reference = ev.Reborn[0].Name
	}
	wantHistory, wantKeyspace := f.shows(reference)
	for i := range ev.Reborn {
		m := &ev.Reborn[i]
		history, keyspace := f.shows(m.Name)
		m.SameHistory = m.Name != reference && m.History != nil && alike(history, wantHistory)
		m.SameKeyspace = m.Name != reference && m.Keyspace != nil && alike(keyspace, wantKeyspace)
	}
}

func alike(a, b string) bool {
	same, err := ledger.Alike(opener(a), opener(b))
	return same && err == nil
}

// ErrNoDrill marks a folder that holds no drill, or one that ended before there was anything to judge.
var ErrNoDrill = errors.New("no drill to judge")

// Judge judges the drill that is stored in this folder from its evidence alone, and returns the verdict without changing
// anything in the folder. A folder without evidence of any member is an error that wraps ErrNoDrill.
func Judge(path string) (verify.Verdict, error) {
	return folder(path).judge(nil, "")
}

// judge spills what does not fit into memory below this folder, or below the system's for temporary files if it is empty.
func (f folder) judge(lost func(ledger.Entry) error, spillDir string) (verdict verify.Verdict, err error) {
	var s stored
	if err := readJSON(f.evidence(), &s); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return verdict, fmt.Errorf("%w: %s has no evidence.json; name the folder that a drill printed", ErrNoDrill, f)
		}
		return verdict, err
	}
	if s.Members == 0 { // of a cluster of none nobody gathers evidence
		return verdict, fmt.Errorf("%w: %s ended before any member was compared; etcd-drill report shows how", ErrNoDrill, f)
	}
	scratch, err := newSpill(spillDir)
	if err != nil {
		return verdict, err
	}
	defer func() { err = errors.Join(err, scratch.remove()) }()
	verdict, err = verify.Judge(f.join(s), verify.Output{Lost: lost, Scratch: scratch.file})
	if err != nil {
		return verdict, fmt.Errorf("judge %s: %w", f, err)
	}
	return verdict, nil
}

// judgeAndKeep judges and writes verdict.json and lost.jsonl.
func (f folder) judgeAndKeep(spillDir string) (verdict verify.Verdict, err error) {
	file, err := create(f.lost())
	if err != nil {
		return verdict, fmt.Errorf("judge: %w", err)
	}
	buffered := bufio.NewWriter(file)
	lines := json.NewEncoder(buffered)
	verdict, err = f.judge(func(e ledger.Entry) error { return lines.Encode(e) }, spillDir)
	if err := errors.Join(err, buffered.Flush(), file.Close()); err != nil {
		return verdict, err
	}
	return verdict, writeJSON(f.verdict(), verdict)
}

// spill is a temporary folder for what does not fit into memory while judging: names of keys and digests of values. That of a drill
// lies among what goes with its run.
type spill struct {
	dir   string
	files []*os.File
}

func newSpill(dir string) (*spill, error) {
	dir, err := os.MkdirTemp(dir, "etcd-drill-judge-")
	if err != nil {
		return nil, fmt.Errorf("judge: %w", err)
	}
	return &spill{dir: dir}, nil
}

func (s *spill) file() (ledger.Spill, error) {
	file, err := os.Create(filepath.Join(s.dir, fmt.Sprint(len(s.files))))
	if err != nil {
		return nil, err
	}
	s.files = append(s.files, file)
	return file, nil
}

func (s *spill) remove() error {
	var failures []error
	for _, file := range s.files {
		failures = append(failures, file.Close())
	}
	return errors.Join(append(failures, os.RemoveAll(s.dir))...)
}
