package verify

import (
	"fmt"
	"strings"

	"github.com/etcd-drill/etcd-drill/harness/identity"
	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// Watch is a client that watched every key through the disaster, as most programs do: it goes on by itself where the last
// change left it, and looks at no cluster ID.
type Watch struct {
	Name string `json:"name"`
	// Last is the revision up to which the lost cluster told it of changes.
	Last int64 `json:"last"`
	// Made is how many revisions the recovered cluster made up to Until, which is beyond Last, as an own client saw them. Heard
	// is of how many of them this client was told, FirstHeard is the first of those; 0 for none.
	Made       int64 `json:"made"`
	Until      int64 `json:"until"`
	Heard      int64 `json:"heard"`
	FirstHeard int64 `json:"firstHeard,omitempty"`
	// Clusters are those from which it took answers, in their order.
	Clusters []identity.ClusterID `json:"clusters"`
	// Cancelled is the compaction revision with which its watch was cancelled; 0 if it was not. Failure is every other reason
	// for which it did not go on.
	Cancelled int64  `json:"cancelled,omitempty"`
	Failure   string `json:"failure,omitempty"`
	// Caches is set if it keeps what it is told of, as an informer of Kubernetes does, and lists all keys anew when it is
	// cancelled. Differences counts the keys in which its cache and the recovered cluster differed at Until.
	Caches        bool         `json:"caches,omitempty"`
	Differences   int64        `json:"differences,omitempty"`
	DifferingKeys []ledger.Key `json:"differingKeys,omitempty"` // the first few
}

func (w Watch) missed() int64 { return w.Made - w.Heard }

// deaf tells whether it was told of nothing up to where it had been, and of no reason.
func (w Watch) deaf() bool {
	return w.Failure == "" && w.Cancelled == 0 && w.missed() > 0 && (w.FirstHeard == 0 || w.FirstHeard > w.Last)
}

// checkWatches looks at what became of those who watched. Where the revision was bumped they must have been cancelled. Where
// it was not, etcd lets them wait for a revision that they have seen before, from another life: that is no damage to data,
// and does damage (etcd issues 14303 and 16028, kubernetes issue 107457).
func (j *judge) checkWatches() {
	bumped := j.ref != nil && j.ref.bumped()
	for _, w := range j.ev.Watches {
		switch {
		case w.Failure != "":
			j.notes.doubted(claimWatch, Finding{Kind: NoEvidence}, "the %s ended without an answer: %s", w.Name, w.Failure)
			continue
		case w.Made == 0:
			j.notes.doubted(claimWatch, Finding{Kind: TooLittle}, "nothing was changed for the %s to be told of", w.Name)
			continue
		case bumped && w.Cancelled == 0:
			j.notes.damaged(claimWatch, Finding{Kind: Deaf, Revision: w.Last},
				"the %s was not cancelled although the revision was bumped, and was not told of %d of %d changes", w.Name, w.missed(), w.Made)
		case w.deaf():
			j.notes.hazard("the %s was told of no error and not of %d of %d changes: it went on at revision %d, as of the lost cluster%s",
				w.Name, w.missed(), w.Made, w.Last+1, w.staleness())
			continue
		case w.Cancelled == 0 && w.missed() != 0:
			j.notes.damaged(claimWatch, Finding{Kind: Missing, Revision: w.FirstHeard},
				"the %s was told of revision %d, and not of %d others up to %d", w.Name, w.FirstHeard, w.missed(), w.Until)
		}
		if w.Differences > 0 {
			j.notes.damaged(claimWatch, Finding{Kind: Changed}, "the %s was told of all that it had to know%s", w.Name, w.staleness())
		}
	}
}

// staleness says how far what the client keeps is from the store; nothing for one that keeps nothing.
func (w Watch) staleness() string {
	if w.Differences == 0 {
		return ""
	}
	var names []string
	for _, key := range w.DifferingKeys {
		names = append(names, fmt.Sprintf("%q", key))
	}
	return fmt.Sprintf("; what it keeps differs from the store in %d keys, such as %s", w.Differences, strings.Join(names, " "))
}

func (j *judge) watchClaim() Claim {
	cancelled, deaf, told, caches := 0, 0, 0, 0
	var missed int64
	for _, w := range j.ev.Watches {
		switch {
		case w.Cancelled != 0:
			cancelled++
		case w.deaf():
			deaf++
			missed = max(missed, w.missed())
		default:
			told++
		}
		if w.Caches && w.Differences == 0 {
			caches++
		}
	}
	text := fmt.Sprintf("%d clients watched through the disaster", len(j.ev.Watches))
	if cancelled > 0 {
		text += fmt.Sprintf("; %d were told that their revision is compacted", cancelled)
	}
	if deaf > 0 {
		text += fmt.Sprintf("; %d are deaf: told of no error, and not of up to %d changes", deaf, missed)
	}
	if told > 0 {
		text += fmt.Sprintf("; %d were told of every change", told)
	}
	if caches > 0 {
		text += fmt.Sprintf("; %d caches equal the store", caches)
	}
	return j.notes.claim(claimWatch, text)
}
