package classify

import (
	"fmt"
	"testing"
)

// Sums of runs of letters are the same whether a word is met for the first time, was met before, in this spelling or in
// another, in this language's part of the table or in the other, or took the place of another word.
func TestWhatWasReadBeforeChangesNoSum(t *testing.T) {
	c := mustLoad(t)
	const place = uint64(1) << 63 // one hash for all, so that every word takes the place of the one before
	words := []string{"broken", "lovely", "Broken", "BROKEN", "brokenn", "b", "größer", "grösser", "", "don't", "доставка", "averyveryverylongwordindeedlongerthanthememory"}
	used := c.newAnalysis()
	check := func(word string, in region) {
		var got, want clause
		used.region = in
		used.grams(&got, word, place)
		fresh := c.newAnalysis()
		fresh.region = in
		want.addGrams(fresh.gramsOf(word))
		if got.grams != want.grams || got.gramCount != want.gramCount {
			t.Errorf("%q in %v: %v of %d runs, want %v of %d", word, in, got.grams, got.gramCount, want.grams, want.gramCount)
		}
	}
	for _, word := range words {
		for _, in := range []region{english, foreign, english} {
			check(word, in)
		}
	}
	for _, in := range []region{english, foreign} {
		for _, word := range words {
			check(word, in)
			check(word, in) // again, from memory
		}
	}
	for i := range 5000 { // and where each has a place of its own, or shares it by chance
		word := fmt.Sprint("word", i%1700)
		var got, want clause
		used.grams(&got, word, fnv(word))
		want.addGrams(used.gramsOf(word))
		if got.grams != want.grams {
			t.Fatalf("%q: %v, want %v", word, got.grams, want.grams)
		}
	}
}

func fnv(s string) uint64 {
	h := uint64(fnvOffset)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return h
}
