package privacy_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/schemas"
)

// tally counts what was found of one type.
type tally struct{ gold, hidden, named, found, right int }

// score masks n texts of a seed and counts.
func score(m *privacy.Masker, seed uint64, n int, abroad []string, miss func(text string, s privacy.Span, kind string)) map[privacy.Type]*tally {
	c := &corpus{rand.New(rand.NewPCG(seed, 17)), abroad}
	return tallies(m, n, c.text, miss)
}

// tallies masks n texts and counts. A piece is hidden if every byte of it is masked, whatever it is taken for; what is masked
// is right if it touches a piece.
func tallies(m *privacy.Masker, n int, make func() (string, []privacy.Span), miss func(text string, s privacy.Span, kind string)) map[privacy.Type]*tally {
	out := map[privacy.Type]*tally{}
	of := func(t privacy.Type) *tally {
		if out[t] == nil {
			out[t] = &tally{}
		}
		return out[t]
	}
	for range n {
		text, gold := make()
		found := m.Find(text)
		for _, g := range gold {
			t := of(g.Type)
			t.gold++
			covered := g.Start
			named := false
			for _, f := range found {
				if f.Start <= covered && f.End > covered {
					covered = f.End
					named = named || f.Type == g.Type
				}
			}
			if covered >= g.End {
				t.hidden++
				if named {
					t.named++
				}
			} else {
				miss(text, g, "shows")
			}
		}
		for _, f := range found {
			t := of(f.Type)
			t.found++
			right := false
			for _, g := range gold {
				right = right || f.Start < g.End && g.Start < f.End
			}
			if right {
				t.right++
			} else {
				miss(text, f, "hides")
			}
		}
	}
	return out
}

func TestMaskingFindsWhatThereIs(t *testing.T) {
	m, err := privacy.NewMasker()
	if err != nil {
		t.Fatal(err)
	}
	log := func(text string, s privacy.Span, kind string) {
		if testing.Verbose() {
			t.Logf("%s %s %q in %q", kind, s.Type, text[s.Start:s.End], text)
		}
	}
	var all tally
	got := score(m, heldOut, 3000, nil, log)
	for _, typ := range []privacy.Type{privacy.Email, privacy.Phone, privacy.Card, privacy.IBAN, privacy.NationalID} {
		x := got[typ]
		if x == nil {
			t.Fatalf("no %s in the corpus", typ)
		}
		t.Attr("masking_"+string(typ), x.String())
		all.join(x)
		if p, r := x.precision(), x.recall(); p < 0.97 || r < 0.97 {
			t.Errorf("%s: %s", typ, x)
		}
	}
	t.Attr("masking_all", all.String())
	for name, forms := range map[string][]string{"abroad": foreign, "further": unseen} {
		other := score(m, abroad, 1000, forms, log)[privacy.Phone]
		t.Attr("masking_phone_"+name, other.String())
		if other.precision() < 0.95 || other.recall() < 0.90 {
			t.Errorf("telephone numbers of other countries (%s): %s", name, other)
		}
	}
}

func (x *tally) join(y *tally) {
	x.gold, x.hidden, x.named, x.found, x.right = x.gold+y.gold, x.hidden+y.hidden, x.named+y.named, x.found+y.found, x.right+y.right
}

func (x *tally) precision() float64 { return float64(x.right) / float64(max(x.found, 1)) }

func (x *tally) recall() float64 { return float64(x.hidden) / float64(max(x.gold, 1)) }

func (x *tally) String() string {
	return fmt.Sprintf("precision %.4f (%d of %d), recall %.4f (%d of %d), %d under their own name", x.precision(), x.right, x.found, x.recall(), x.hidden, x.gold, x.named)
}

// The words that take the place of personal data say nothing of their own: a masked text is judged like the text. Requests
// are left out, because a text is taken for one for its many numbers alone.
func TestMaskedTextsAreJudgedAlike(t *testing.T) {
	m := masker(t)
	by, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	c := &corpus{rand.New(rand.NewPCG(heldOut, 17)), nil}
	texts, polarity, intent, element, mentions := 0, 0, 0, 0, 0
	for range 3000 {
		text, _ := c.text()
		masked, some := m.Mask(text)
		if !some {
			continue
		}
		texts++
		a, b := by.Classify(classify.Input{Text: text}), by.Classify(classify.Input{Text: privacy.Neutral(masked)})
		for _, x := range []struct {
			differ *int
			is     bool
		}{{&polarity, a.Polarity != b.Polarity}, {&intent, a.Intent != b.Intent && a.Intent != schemas.Request}, {&element, a.Element != b.Element}, {&mentions, len(a.Mentions) != len(b.Mentions)}} {
			if x.is {
				*x.differ++
			}
		}
		for _, mention := range b.Mentions {
			if mention.End > uint32(len(masked)) || mention.Start >= mention.End || !utf8.ValidString(masked[mention.Start:mention.End]) {
				t.Fatalf("a mention of %q lies outside of it: %+v", masked, mention)
			}
		}
	}
	t.Attr("masked_texts", fmt.Sprintf("%d: another polarity %d, intent (but of requests) %d, element %d, number of mentions %d", texts, polarity, intent, element, mentions))
	if most := texts / 20; polarity > most || intent > most || element > most {
		t.Errorf("of %d texts, masking changes the polarity of %d, the intent of %d and the element of %d", texts, polarity, intent, element)
	}
}
