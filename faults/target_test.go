package faults

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/etcd-drill/etcd-drill/harness"
)

func TestQuorumIsTheFewestThatCostIt(t *testing.T) {
	for n := 1; n <= harness.MaxMembers; n++ {
		size, err := Quorum.Size(n)
		if err != nil {
			t.Fatal(err)
		}
		if left := n - size; left >= harness.QuorumOf(n) {
			t.Errorf("of %d members %d are lost and %d still make a quorum", n, size, left)
		}
		if left := n - size + 1; left < harness.QuorumOf(n) {
			t.Errorf("of %d members %d are lost, and one less would be enough", n, size)
		}
		if !Quorum.CostsQuorum(n) || !All.CostsQuorum(n) {
			t.Errorf("losing quorum or all of %d is said not to cost the quorum", n)
		}
	}
}

func TestTolerableIsTheMostThatDoNotCostIt(t *testing.T) {
	for n := 1; n <= harness.MaxMembers; n++ {
		size, err := Tolerable.Size(n)
		if n < 3 {
			if !errors.Is(err, ErrNoVictim) {
				t.Errorf("of %d members nobody can be spared, got %d and %v", n, size, err)
			}
			continue
		}
		quorum, _ := Quorum.Size(n)
		if err != nil || size != quorum-1 || Tolerable.CostsQuorum(n) {
			t.Errorf("of %d members %d are tolerable (%v), quorum is %d", n, size, err, quorum)
		}
	}
}

func TestCountsAreBounded(t *testing.T) {
	if _, err := Count(4).Size(3); !errors.Is(err, ErrTooMany) {
		t.Errorf("losing 4 of 3: %v", err)
	}
	if size, err := Count(3).Size(3); size != 3 || err != nil {
		t.Errorf("losing 3 of 3: %d %v", size, err)
	}
	for _, text := range []string{"", "0", "-1", "some", "1.5"} {
		if target, err := ParseTarget(text); err == nil {
			t.Errorf("%q was read as target %q", text, target)
		}
	}
	for _, text := range []string{"quorum", "tolerable", "all", "leader", "2"} {
		if target, err := ParseTarget(text); err != nil || string(target) != text {
			t.Errorf("%q was read as %q, %v", text, target, err)
		}
	}
}

func TestSeedChoosesTheVictims(t *testing.T) {
	names := []string{"m1", "m2", "m3", "m4", "m5"}
	choose := func(seed uint64) []string {
		victims, err := Quorum.Choose(names, rand.New(rand.NewPCG(seed, 1)))
		if err != nil {
			t.Fatal(err)
		}
		return victims
	}
	seen := map[string]bool{}
	for seed := range uint64(200) {
		first, again := choose(seed), choose(seed)
		if !slices.Equal(first, again) {
			t.Fatalf("seed %d chose %v and %v", seed, first, again)
		}
		if len(first) != 3 || !slices.IsSorted(first) {
			t.Fatalf("seed %d chose %v, want 3 in the order of the members", seed, first)
		}
		for _, name := range first {
			seen[name] = true
		}
	}
	if len(seen) != len(names) {
		t.Errorf("200 seeds hit only %v", seen)
	}
}

func TestUnknownFaultIsRefusedWithTheKnownOnes(t *testing.T) {
	_, err := Parse("meteor", All)
	if err == nil {
		t.Fatal("an unknown fault was accepted")
	}
	for _, name := range []string{"kill", "pause", "stop", "wipe"} {
		if fault, parseErr := Parse(name, All); parseErr != nil || fault.Name() != name {
			t.Errorf("fault %s: %v %v", name, fault, parseErr)
		}
	}
	if want := `unknown fault "meteor": choose one of kill, pause, stop, wipe`; err.Error() != want {
		t.Errorf("refused with %q, want %q", err, want)
	}
}
