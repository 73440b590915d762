package verify

import (
	"fmt"

	"github.com/etcd-drill/etcd-drill/internal/ledger"
)

// older is what the ledger says of a key's time at or below the compaction point, where the history is gone.
type older struct {
	last        *op  // the last acknowledged change
	atMod       *op  // the acknowledged change at the mod revision that was found
	perhapsPut  bool // an unknown write put what was found
	perhapsGone bool // an unknown write deleted the key, or gave it a lease that may have expired
}

// recall gathers the older changes of a key.
func recall(early *cursor[op], key ledger.Key, found *ledger.Pair) older {
	var o older
	for ; early.ok && early.head.Key <= key; early.advance() {
		e := early.head
		switch {
		case e.Key < key:
		case !e.Unknown:
			o.last = &e
			if found != nil && e.Rev == found.Mod {
				o.atMod = &e
			}
		default:
			o.perhapsGone = o.perhapsGone || e.Change.Delete || e.Change.Lease != 0
			o.perhapsPut = o.perhapsPut || found != nil && !e.Change.Delete && e.Rev < found.Mod &&
				e.Change.Digest == found.Digest && e.Change.Lease == found.Lease
		}
	}
	return o
}

// checkOlder holds a key without any record above the compaction point against the older writes in the ledger.
func (j *judge) checkOlder(key ledger.Key, found *ledger.Pair, o older) {
	if j.bySource() && (found == nil || found.Mod <= j.ref.compacted) {
		return // nobody knows more of it
	}
	if found == nil {
		// An unknown delete, or a lease that expired, may have removed it since.
		if o.last != nil && !o.last.Change.Delete && o.last.Change.Lease == 0 && !o.perhapsGone {
			j.notes.damaged(claimPrefix, Finding{Kind: Missing, Key: key, Revision: o.last.Rev},
				"%q was put at revision %d and never deleted; it is not in the keyspace of %s", key, o.last.Rev, j.ref.name())
		}
		return
	}
	f := Finding{Key: key, Revision: found.Mod}
	switch {
	case found.Mod > j.ref.compacted:
		f.Kind = Phantom
		j.notes.damaged(claimPrefix, f, "%q is in the keyspace of %s, modified at revision %d, of which its history knows nothing",
			key, j.ref.name(), found.Mod)
	case o.last != nil && o.last.Rev >= found.Mod && o.last.Change.Delete:
		f.Kind, f.Revision = Undeleted, o.last.Rev
		j.notes.damaged(claimPrefix, f, "%q was deleted at revision %d, but is in the keyspace of %s", key, o.last.Rev, j.ref.name())
	case o.last != nil && o.last.Rev > found.Mod:
		f.Kind, f.Revision = Changed, o.last.Rev
		j.notes.damaged(claimPrefix, f, "%q was put last at revision %d; the keyspace of %s shows what revision %d put",
			key, o.last.Rev, j.ref.name(), found.Mod)
	case o.atMod != nil:
		if o.atMod.Change.Digest != found.Digest || o.atMod.Change.Lease != found.Lease {
			f.Kind = Changed
			j.notes.damaged(claimPrefix, f, "%q was put at revision %d with value digest %s and lease %x; the keyspace of %s shows %s and %x",
				key, found.Mod, o.atMod.Change.Digest, o.atMod.Change.Lease, j.ref.name(), found.Digest, found.Lease)
		}
	case !o.perhapsPut:
		f.Kind = Phantom
		j.notes.damaged(claimPrefix, f, "%q is in the keyspace of %s, modified at revision %d, which no write in the ledger explains",
			key, j.ref.name(), found.Mod)
	}
}

func pairOf(r ledger.Record) ledger.Pair {
	return ledger.Pair{Key: r.Key, Digest: r.Digest, Create: r.Create, Mod: r.Rev, Version: r.Version, Lease: r.Lease}
}

// differ tells in words what two pairs of one key do not share; empty if they are equal.
func differ(want, got ledger.Pair) string {
	switch {
	case want.Digest != got.Digest:
		return fmt.Sprintf("value digest %s instead of %s", got.Digest, want.Digest)
	case want.Mod != got.Mod:
		return fmt.Sprintf("mod revision %d instead of %d", got.Mod, want.Mod)
	case want.Create != got.Create:
		return fmt.Sprintf("create revision %d instead of %d", got.Create, want.Create)
	case want.Version != got.Version:
		return fmt.Sprintf("version %d instead of %d", got.Version, want.Version)
	case want.Lease != got.Lease:
		return fmt.Sprintf("lease %x instead of %x", got.Lease, want.Lease)
	default:
		return ""
	}
}
