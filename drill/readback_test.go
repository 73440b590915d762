package drill

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// A record that claims revision 9 arrives between those of 3 and 4; another claims 3 after 4.
func TestHistoryIsSortedByTheRevisionsThatItsRecordsClaim(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	arrived := []ledger.Record{
		{Rev: 3, Key: "a"}, {Rev: 9, Key: "b"}, {Rev: 4, Key: "c"}, {Rev: 4, Sub: 1, Key: "d"}, {Rev: 3, Key: "e"},
	}
	err := writeStream(path, func(write func(ledger.Record) error) error {
		for _, record := range arrived {
			if err := write(record); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sortHistory(path, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	var got []ledger.Record
	for record, err := range ledger.ReadRecords(opener(path)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, record)
	}
	want := []ledger.Record{
		{Rev: 3, Key: "a"}, {Rev: 3, Sub: 1, Key: "e"}, {Rev: 4, Key: "c"}, {Rev: 4, Sub: 1, Key: "d"}, {Rev: 9, Key: "b"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("sorted to %+v, want %+v", got, want)
	}
}
