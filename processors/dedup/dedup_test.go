package dedup_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/earshot/earshot/processors/dedup"
	"github.com/earshot/earshot/schemas"
)

func id(n uint64) (out schemas.EventID) {
	binary.LittleEndian.PutUint64(out[:], n)
	return out
}

// capacity is that of batches of 2,500.
var capacity = dedup.MinCapacity(2500)

func TestSecondOccurrenceIsADuplicate(t *testing.T) {
	s := dedup.NewSet(capacity, true)
	if s.Seen(id(1)) {
		t.Fatal("a first occurrence was called a duplicate")
	}
	if !s.Seen(id(1)) || s.Seen(id(2)) {
		t.Fatal("the second occurrence was not recognised, or another identity was")
	}
}

// While the set is complete it must agree with an unbounded set; when it has forgotten something it must say so.
func TestSetNeverClaimsToKnowWhatItForgot(t *testing.T) {
	s := dedup.NewSet(capacity, true)
	all := map[uint64]bool{}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 3 * capacity {
		n := r.Uint64N(2 * uint64(capacity))
		had := s.Has(id(n))
		if had && !all[n] {
			t.Fatalf("step %d: the set knows %d, which was never added", i, n)
		}
		if !had && all[n] && s.Complete() {
			t.Fatalf("step %d: the set forgot %d and still calls itself complete", i, n)
		}
		s.Seen(id(n))
		all[n] = true
		if s.Len() > capacity {
			t.Fatalf("step %d: %d identities, over the bound of %d", i, s.Len(), capacity)
		}
	}
	if s.Complete() {
		t.Fatal("the set never let anything go: the test does not reach its bound")
	}
}

func TestTheNewestHalfIsAlwaysKnown(t *testing.T) {
	s := dedup.NewSet(capacity, true)
	for n := range uint64(4 * capacity) {
		s.Seen(id(n))
		if back := n - min(n, uint64(capacity)/2-1); !s.Has(id(back)) {
			t.Fatalf("after %d identities, %d is gone although only the newest half may be relied on", n, back)
		}
	}
}

func TestAnIncompleteStartStaysIncomplete(t *testing.T) {
	if s := dedup.NewSet(capacity, false); s.Complete() {
		t.Fatal("a set that was loaded in part calls itself complete")
	}
}

func TestAForgottenIdentityIsNewAgain(t *testing.T) {
	s := dedup.NewSet(capacity, true)
	for n := range uint64(capacity) { // some of them in each half
		s.Seen(id(n))
	}
	for _, n := range []uint64{uint64(capacity)/2 + 1, uint64(capacity) - 1} {
		if s.Forget(id(n)); s.Has(id(n)) || s.Seen(id(n)) || !s.Seen(id(n)) {
			t.Errorf("identity %d: not new exactly once after it was forgotten", n)
		}
	}
}
