package kernel

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// kindEnv makes this test binary what a Prober starts: the value says of which kind.
const kindEnv = "ETCD_DRILL_TEST_KERNEL"

func TestMain(m *testing.M) {
	kind := os.Getenv(kindEnv)
	if kind == "" {
		os.Exit(m.Run())
	}
	if err := act(kind); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func act(kind string) error {
	switch kind {
	case "serve":
		return Serve(context.Background(), os.Stdin, os.Stdout)
	case "try": // as somebody else would, for the test that started this
		prober := Prober{Path: os.Args[0], Env: []string{kindEnv + "=serve"}}
		return json.NewEncoder(os.Stdout).Encode(prober.Try(context.Background()))
	case "garbage":
		fmt.Println("nothing that anybody asked for")
	case "endless":
		for line := strings.Repeat("x", 1<<16); ; {
			if _, err := fmt.Println(line); err != nil {
				return err
			}
		}
	case "no text", "odd name", "odd state":
		var req request
		if err := json.NewDecoder(os.Stdin).Decode(&req); err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(map[string]Trial{
			"no text":   {Name: req.Trial, State: Able},
			"odd name":  {Name: "another", State: Able, Text: "all is well"},
			"odd state": {Name: req.Trial, State: "splendid", Text: "all is well"},
		}[kind])
	case "dead":
		fmt.Fprintln(os.Stderr, "out of luck\nand of memory")
		os.Exit(3)
	default:
		return actHere(kind)
	}
	return nil
}

func testProber(t *testing.T, kind string) Prober {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Prober{Path: program, Env: []string{kindEnv + "=" + kind}}
}

// byName also checks what holds for the trials of any machine.
func byName(t *testing.T, trials []Trial) map[string]Trial {
	t.Helper()
	want := []string{"namespaces", "nftables", "netem", "tbf", "fuse", "cgroup", "tmpfs limit", "loop device"}
	out := map[string]Trial{}
	for i, trial := range trials {
		if i >= len(want) || trial.Name != want[i] || trial.Text == "" {
			t.Errorf("trial %d is %+v", i, trial)
		}
		switch trial.State {
		case Able, Unable, Denied, Untried:
		default:
			t.Errorf("%s has no valid state: %+v", trial.Name, trial)
		}
		t.Logf("%-12s %-8s %s", trial.Name, trial.State, trial.Text)
		out[trial.Name] = trial
	}
	if len(trials) != len(want) {
		t.Fatalf("%d trials, want %d", len(trials), len(want))
	}
	return out
}
