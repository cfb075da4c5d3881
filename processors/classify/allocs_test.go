//go:build !race

// Under the race detector a sync.Pool forgets at random what is put back, to find its misuse; so allocations are counted
// without it.
package classify

import "testing"

// TestScoringAllocatesNothing holds a text without mentions to no allocation at all: what is allocated otherwise are the
// mentions and reasons that are handed out.
func TestScoringAllocatesNothing(t *testing.T) {
	c := mustLoad(t)
	const text = "@anonymous I could not believe how warm it was this morning, and then it rained again"
	if l := c.Classify(Input{Text: text}); len(l.Mentions) > 0 {
		t.Fatalf("%q has mentions: %v", text, l.Mentions)
	}
	if n := testing.AllocsPerRun(200, func() { c.Classify(Input{Text: text}) }); n >= 1 {
		t.Errorf("%v allocations for a text, want none", n)
	}
}
