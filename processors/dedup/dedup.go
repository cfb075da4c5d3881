// Package dedup remembers which events a shard has stored, so that one sent again is known for what it is.
//
// The worker asks [Set.Seen] of every event in the order of the log: the first occurrence of an identity is new, every
// later one a duplicate, with no limit of time. The set is exact but bounded: it keeps the newest identities, and once it
// has let older ones go, [Set.Complete] says so and the worker asks the store as well about whatever the set does not
// know. It refuses to guess: there is no probabilistic answer in it.
package dedup

import "github.com/earshot/earshot/schemas"

// Set is an exact set of the newest identities. It is not safe for concurrent use: order is its meaning.
type Set struct {
	half     int // identities a half holds before it is retired
	young    map[schemas.EventID]struct{}
	old      map[schemas.EventID]struct{}
	complete bool
}

// MinCapacity is the smallest safe capacity for batches of up to so many events. The set must outlast what is not in the
// table yet: the batch that is being stored and the one that is being prepared. Half of a set is certain to be the newest.
func MinCapacity(batch int) int { return 4 * batch }

// NewSet returns an empty set that keeps at least capacity/2 and at most capacity identities, 40 to 80 bytes each.
// complete says whether the store holds no identity that the caller is not going to [Set.Add].
func NewSet(capacity int, complete bool) *Set {
	half := max(capacity/2, 1)
	return &Set{half: half, young: make(map[schemas.EventID]struct{}), complete: complete}
}

// Complete reports whether an identity that is not in the set is certainly new. Once false it stays false.
func (s *Set) Complete() bool { return s.complete }

// Has reports whether the identity is in the set.
func (s *Set) Has(id schemas.EventID) bool {
	if _, ok := s.young[id]; ok {
		return true
	}
	_, ok := s.old[id]
	return ok
}

// Add puts an identity in and may let the older half go.
func (s *Set) Add(id schemas.EventID) {
	s.young[id] = struct{}{}
	if len(s.young) < s.half {
		return
	}
	if len(s.old) > 0 {
		s.complete = false
	}
	s.old, s.young = s.young, make(map[schemas.EventID]struct{}, s.half)
}

// Seen reports whether the identity was there before, and adds it if it was not.
func (s *Set) Seen(id schemas.EventID) bool {
	if s.Has(id) {
		return true
	}
	s.Add(id)
	return false
}

// Forget takes an identity out: its event came to nothing, so that the next one with it is new.
func (s *Set) Forget(id schemas.EventID) {
	delete(s.young, id)
	delete(s.old, id)
}

// Len is how many identities the set holds.
func (s *Set) Len() int { return len(s.young) + len(s.old) }
