//go:build !race

// Under the race detector a sync.Pool forgets at random what is put back, to find its misuse; so allocations are counted
// without it.
package classify

import (
	"reflect"
	"testing"

	"github.com/earshot/earshot/schemas"
)

// TestClassifyingAllocatesNothing holds all heads and mentions of every text of the cases, and of the golden file, to no
// allocation at all, once the labels that they are written into are long enough.
func TestClassifyingAllocatesNothing(t *testing.T) {
	c := mustLoad(t)
	mentions := 0
	var l schemas.Labels
	for _, in := range goldenInputs(t) {
		c.ClassifyInto(in, &l)
		mentions += len(l.Mentions)
		if n := testing.AllocsPerRun(20, func() { c.ClassifyInto(in, &l) }); n > 0 {
			t.Errorf("%.60q: %v allocations, want none", in.Text, n)
		}
	}
	if mentions < 100 {
		t.Errorf("%d mentions in all texts, too few to say anything", mentions)
	}
}

// TestLabelsThatAreUsedAgainForgetTheTextBefore writes each text's labels over those of the text before it.
func TestLabelsThatAreUsedAgainForgetTheTextBefore(t *testing.T) {
	c := mustLoad(t)
	var l schemas.Labels
	for _, in := range goldenInputs(t) {
		c.ClassifyInto(in, &l)
		got, want := l, c.Classify(in)
		if len(got.Mentions) == 0 && len(want.Mentions) == 0 {
			got.Mentions, want.Mentions = nil, nil
		}
		if len(got.ChurnReasons) == 0 && len(want.ChurnReasons) == 0 {
			got.ChurnReasons, want.ChurnReasons = nil, nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%.60q: %+v, want %+v", in.Text, got, want)
		}
	}
}
