package process

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// record is the file in which a run notes its processes, a line each, so that a later run can end what this one left.
type record struct {
	mu   sync.Mutex
	file *os.File
}

func openRecord(path string) (*record, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make record of processes: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make record of processes: %w", err)
	}
	return &record{file: file}, nil
}

// note writes down the process that was just started. One that has ended already needs no line.
func (r *record) note(pid int, name string) error {
	started, err := startOf(pid)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("note process %d: %w", pid, err)
	}
	line, err := json.Marshal(sighting{PID: pid, Started: started, Name: name})
	if err != nil {
		return fmt.Errorf("note process %d: %w", pid, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("note process %d: %w", pid, err)
	}
	return nil
}

// remove ends the record. One that a sweep has removed is no error.
func (r *record) remove() error {
	err := os.Remove(r.file.Name())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, r.file.Close())
}

// readRecord returns what a run has noted; nothing if it has no record.
func readRecord(path string) ([]sighting, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read record of processes: %w", err)
	}
	var noted []sighting
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var one sighting
		if json.Unmarshal(lines.Bytes(), &one) == nil { // else it was being written when the run died
			noted = append(noted, one)
		}
	}
	return noted, nil
}
