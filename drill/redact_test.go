package drill

import (
	"strings"
	"testing"
)

func TestALineOfEtcdsLogNamesNoKey(t *testing.T) {
	for name, line := range map[string]string{
		"slow put": `{"level":"warn","ts":"2026-03-01T12:00:00.1Z","caller":"txn/util.go:93","msg":"apply request took too long",` +
			`"took":"2.1s","expected-duration":"100ms","prefix":"",` +
			`"request":"header:<ID:5 > put:<key:\"/secret/a\" value_size:5 >","response":"size:5"}`,
		"slow read": `{"level":"warn","msg":"apply request took too long","took":"2.1s","prefix":"read-only range ",` +
			`"request":"key:\"/secret/\" range_end:\"/secret0\" ","response":"range_response_count:0 size:4","error":"etcdserver: /secret"}`,
		"list":  `{"level":"info","msg":"starting","members":["/secret/m"],"nested":{"key":"/secret"},"key":"/secret/a"}`,
		"panic": `panic: assertion failed: key /secret/a`,
		"cut":   `{"level":"info","msg":"x","key":"/secret`,
	} {
		kept, keep := scrubLine(line)
		if !keep || strings.Contains(kept, "secret") {
			t.Errorf("%s: %s", name, kept)
		}
	}
	kept, keep := scrubLine(`{"level":"info","ts":"2026-03-01T12:00:00.1Z","msg":"ready to serve client requests",` +
		`"local-member-id":"6a","current-rev":5,"took":"5ms"}`)
	for _, part := range []string{"ready to serve client requests", `"local-member-id":"6a"`, `"current-rev":5`, `"took":"5ms"`} {
		if !keep || !strings.Contains(kept, part) {
			t.Errorf("%s is not in %s", part, kept)
		}
	}
	if _, keep := scrubLine("  "); keep {
		t.Error("an empty line is kept")
	}
}
