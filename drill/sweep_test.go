package drill

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
)

// late is a runtime whose engine makes one thing after it was looked for the first time.
type late struct {
	harness.Runtime
	looks, made int
}

func (l *late) Name() string { return "late" }

func (l *late) Sweep(context.Context, string) (int, error) {
	l.looks++
	if l.looks == 1 {
		l.made = 1
		return 0, nil
	}
	removed := l.made
	l.made = 0
	return removed, nil
}

func TestWhatAKilledRunAskedForLastIsSweptAlthoughItComesLate(t *testing.T) {
	state, runtime := t.TempDir(), &late{}
	record := filepath.Join(state, "0123abcd.jsonl")
	lines := `{"workDir":"` + filepath.Join(t.TempDir(), "gone") + `","runtime":"late"}` + "\n" + `{"kind":"network","name":"n"}` + "\n"
	if err := os.WriteFile(record, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	swept, err := Sweeper{Runtimes: []harness.Runtime{runtime}, StateDir: state}.Dead(t.Context(), "")
	if err != nil || len(swept) != 1 || swept[0].Removed != 1 || runtime.made != 0 {
		t.Errorf("got %+v, %v; left is %d", swept, err, runtime.made)
	}
	if _, err := os.Stat(record); err == nil {
		t.Error("the record of a run that is swept stays")
	}
}
