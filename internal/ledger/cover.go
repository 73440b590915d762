package ledger

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// coverMark opens the name under which a key is spoken of where names of keys are hidden. It also keeps the digest of a name from
// being that of a value.
const coverMark = "key:"

// Coverer returns a function that hides the names of keys in evidence, for one goroutine: each becomes a keyed digest of itself,
// the same each time, so that keys can still be told apart and be compared.
func Coverer(digestKey []byte) func(Key) Key {
	mac := hmac.New(sha256.New, digestKey)
	return func(key Key) Key {
		mac.Reset()
		mac.Write([]byte(coverMark)) // never fails, see hash.Hash
		mac.Write([]byte(key))
		return Key(coverMark + hex.EncodeToString(mac.Sum(nil)[:digestBytes]))
	}
}

// Cover hides the names of the keys that are attached to the lease.
func (l Lease) Cover(cover func(Key) Key) Lease {
	l.Keys = slices.Clone(l.Keys)
	for i, key := range l.Keys {
		l.Keys[i] = cover(key)
	}
	slices.Sort(l.Keys)
	return l
}

// Cover hides the names of keys in permissions. An empty end, which stands for one key alone, stays empty.
func (s State) Cover(cover func(Key) Key) State {
	s.Auth.Roles = slices.Clone(s.Auth.Roles)
	for i, role := range s.Auth.Roles {
		role.Permissions = slices.Clone(role.Permissions)
		for j, p := range role.Permissions {
			if p.Key = cover(p.Key); p.End != "" {
				p.End = cover(p.End)
			}
			role.Permissions[j] = p
		}
		slices.SortFunc(role.Permissions, Permission.Compare)
		s.Auth.Roles[i] = role
	}
	return s
}
