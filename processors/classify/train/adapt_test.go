package train

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/earshot/earshot/processors/classify"
)

func loaded(t *testing.T) *classify.Classifier {
	t.Helper()
	c, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// own are corrections of a trade with words of its own: what only its customers call good and bad.
func own(lang string, n int) (out []Correction) {
	words := map[string][2]string{"en": {"the flurb gave us %d grommets", "the squonk gave us %d grommets"},
		"ko": {"%d 번째 주문 배송이 늦어요", "%d 번째 주문 포장이 좋아요"}, "zh": {"第%d单氍毹", "第%d单饕餮"}}[lang]
	for i := range n {
		out = append(out, Correction{fmt.Sprintf(words[0], i), lang, "sentiment", "negative"}, Correction{fmt.Sprintf(words[1], i), lang, "sentiment", "positive"})
	}
	return out
}

func TestCorrectionsTeachInEveryLanguage(t *testing.T) {
	c := loaded(t)
	for lang, texts := range map[string][2]string{"en": {"what a flurb again", "what a squonk again"}, "ko": {"배송이 늦어요", "포장이 좋아요"}, "zh": {"又氍毹", "会饕餮"}} {
		h, out := Adapt(c, own(lang, 40), "acme", "2026-11-24")
		if h == nil || len(out) != 1 || !out[0].Taken || out[0].After <= out[0].Before || out[0].N != 80 {
			t.Errorf("%s: %+v", lang, out)
			continue
		}
		a := c.With(h)
		for i, want := range []string{"negative", "positive"} {
			if l := a.Classify(classify.Input{Text: texts[i], Language: lang}); string(l.Polarity) != want {
				t.Errorf("%s: %q is %s after the corrections, want %s", lang, texts[i], l.Polarity, want)
			}
		}
		if h.Card.Tenant != "acme" || h.Card.Parent != c.Model() {
			t.Errorf("card %+v does not say whose it is and where it comes from", h.Card)
		}
	}
}

func TestAdaptedModelStillKnowsWhatItWasTaught(t *testing.T) {
	c := loaded(t)
	h, _ := Adapt(c, own("en", 40), "acme", "2026-11-24")
	a := c.With(h)
	for text, want := range map[string]string{"terrible service, very rude": "negative", "I love it, great quality": "positive"} {
		if l := a.Classify(classify.Input{Text: text}); string(l.Polarity) != want {
			t.Errorf("%q is %s, want %s", text, l.Polarity, want)
		}
	}
}

func TestCorrectionsThatTeachNothingAreRefused(t *testing.T) {
	c := loaded(t)
	var noise []Correction
	for i := range 120 {
		noise = append(noise, Correction{fmt.Sprintf("good and useful item %d", i), "en", "sentiment", headClasses[0].classes[i*7%11%3]})
	}
	right := []Correction{}
	for i := range 60 {
		right = append(right, Correction{fmt.Sprintf("I love it, great quality, number %d", i), "en", "sentiment", "positive"})
	}
	for claim, set := range map[string][]Correction{"confirmed labels": right, "too few": own("en", 5)} {
		if h, out := Adapt(c, set, "acme", "2026-11-24"); h != nil || len(out) != 1 || out[0].Taken || out[0].Reason == "" {
			t.Errorf("%s: a model came of it: %+v", claim, out)
		}
	}
	if h, out := Adapt(c, noise, "acme", "2026-11-24"); h != nil && out[0].After <= out[0].Before {
		t.Errorf("noise: a worse model came of it: %+v", out)
	}
}

func TestTheOrderOfCorrectionsDoesNotMatter(t *testing.T) {
	c := loaded(t)
	set := own("en", 30)
	a, _ := Adapt(c, set, "acme", "2026-11-24")
	slices.Reverse(set)
	b, _ := Adapt(c, set, "acme", "2026-11-24")
	x, _ := a.Marshal()
	y, _ := b.Marshal()
	if string(x) != string(y) {
		t.Error("the same corrections in another order give another model")
	}
}

func TestCorrectionsAreReadAsEventsCarryThem(t *testing.T) {
	in := `{"text":"a","axis":"intent","new_value":"suggestion","lang":"en"}
{"text":"b","label":"very_negative"}
{"text":"c","axis":"churn","new_value":"leave"}
{"text":"d","axis":"urgency","new_value":"high"}
{"text":"","axis":"intent","new_value":"praise"}`
	got, left, err := ReadCorrections(strings.NewReader(in))
	want := []Correction{{"a", "en", "intent", "request"}, {"b", "", "sentiment", "negative"}, {"c", "", "churn", "leave"}}
	if err != nil || left != 2 || !slices.Equal(got, want) {
		t.Errorf("%+v, %d left, %v; want %+v and 2", got, left, err, want)
	}
	if _, _, err := ReadCorrections(strings.NewReader("{\"text\":\"a\"}\n{")); err == nil || !strings.Contains(err.Error(), "correction 2") {
		t.Errorf("%v, want the broken one named", err)
	}
}
