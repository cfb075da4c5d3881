package train

import (
	"fmt"
	"math"
	"reflect"
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
		h, out := Adapt(c, nil, own(lang, 40), "acme", "2026-11-24")
		if h == nil || len(out) != 1 || !out[0].Taken || out[0].MacroF1 <= out[0].Rivals[0].MacroF1 || out[0].N != 80 {
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
	h, _ := Adapt(c, nil, own("en", 40), "acme", "2026-11-24")
	a := c.With(h)
	for text, want := range map[string]string{"terrible service, very rude": "negative", "I love it, great quality": "positive"} {
		if l := a.Classify(classify.Input{Text: text}); string(l.Polarity) != want {
			t.Errorf("%q is %s, want %s", text, l.Polarity, want)
		}
	}
}

func TestCorrectionsThatTeachNothingAreRefused(t *testing.T) {
	c := loaded(t)
	var noise, right, skewed []Correction
	for i := range 120 {
		noise = append(noise, Correction{fmt.Sprintf("good and useful item %d", i), "en", "sentiment", headClasses[0].Classes[i*7%11%3]})
		class := "negative"
		if i%10 == 0 {
			class = "positive"
		}
		skewed = append(skewed, Correction{fmt.Sprintf("item %d came", i), "en", "sentiment", class})
	}
	for i := range 60 {
		right = append(right, Correction{fmt.Sprintf("I love it, great quality, number %d", i), "en", "sentiment", "positive"})
	}
	for claim, test := range map[string]struct {
		set  []Correction
		want string
	}{
		"labels at random":            {noise, "no better than the shipped model"},
		"confirmed labels":            {right, "no better than the shipped model"},
		"what one label for all does": {skewed, `no better than always saying "negative"`},
		"too few":                     {own("en", 5), "too few"},
	} {
		if h, out := Adapt(c, nil, test.set, "acme", "2026-11-24"); h != nil || len(out) != 1 || out[0].Taken || !strings.Contains(out[0].Reason, test.want) {
			t.Errorf("%s: %+v, want none taken for %q", claim, out, test.want)
		}
	}
}

// moods are corrections of intent in words that only one trade has.
func moods(n int) (out []Correction) {
	for i := range n {
		out = append(out, Correction{fmt.Sprintf("zorble number %d", i), "en", "intent", "question"}, Correction{fmt.Sprintf("quimby number %d", i), "en", "intent", "praise"})
	}
	return out
}

func TestASecondModelMustBeatTheFirst(t *testing.T) {
	c := loaded(t)
	set := own("en", 40)
	h, _ := Adapt(c, nil, set, "acme", "2026-11-24")
	present := c.With(h)
	fresh := own("en", 80)[80:] // of the same kind, not learned from yet
	for missing, again := range map[int][]Correction{0: set, 80: fresh} {
		second, out := Adapt(c, present, again, "acme", "2026-11-25")
		if second != nil || len(out) != 1 || out[0].Missing != missing || !strings.Contains(out[0].Reason, "no better than the tenant's present model") {
			t.Errorf("without %d of what it learned from: %+v, want none taken for the sake of the present model", missing, out)
		}
	}
	for i := range 40 {
		set = append(set, Correction{fmt.Sprintf("the brillig gave us %d grommets", i), "en", "sentiment", "neutral"})
	}
	second, out := Adapt(c, present, set, "acme", "2026-11-25")
	if second == nil || len(out[0].Rivals) != 3 || out[0].Rivals[2].N != 40 {
		t.Fatalf("new words: %+v, want them taken after a look at the 40 new ones", out)
	}
	for text, want := range map[string]string{"what a brillig again": "neutral", "what a flurb again": "negative"} {
		if l := c.With(second).Classify(classify.Input{Text: text, Language: "en"}); string(l.Polarity) != want {
			t.Errorf("%q is %s after the second adaptation, want %s", text, l.Polarity, want)
		}
	}
}

func TestAHeadWithoutCorrectionsStaysAsTheTenantHasIt(t *testing.T) {
	c := loaded(t)
	h, _ := Adapt(c, nil, own("en", 40), "acme", "2026-11-24")
	second, out := Adapt(c, c.With(h), moods(40), "acme", "2026-11-25")
	if second == nil {
		t.Fatalf("%+v: want the intent learned", out)
	}
	both, _ := Adapt(c, nil, append(own("en", 40), moods(40)...), "acme", "2026-11-25")
	card := second.Card
	second.Card, both.Card = classify.Card{}, classify.Card{} // they were compared with different models
	if !reflect.DeepEqual(second, both) {
		t.Error("one head after the other gives another model than both at once")
	}
	axes := map[string]int{}
	for _, d := range card.Sources {
		axes[d.Axis] = d.Rows
	}
	if axes["sentiment"] != 80 || axes["intent"] != 80 || len(card.Scores) != 7 {
		t.Errorf("card %+v, want 80 corrections of each head, and what they were compared with", card)
	}
}

func TestTheLastCorrectionOfATextCounts(t *testing.T) {
	c := loaded(t)
	right := own("en", 40)
	var twice []Correction
	for _, x := range right {
		wrong := x
		wrong.Text, wrong.Class = "@shop "+strings.ToUpper(x.Text)+"!", "neutral"
		twice = append(twice, wrong)
	}
	twice = append(twice, right...)
	got, want := latest(twice, "sentiment"), latest(right, "sentiment")
	if !slices.Equal(got, want) {
		t.Errorf("%d corrections, want the %d last ones", len(got), len(want))
	}
	if both := latest([]Correction{{"👍", "", "sentiment", "positive"}, {"👎", "", "sentiment", "negative"}}, "sentiment"); len(both) != 2 {
		t.Errorf("%v: two emoji are two texts", both)
	}
	for _, c := range []struct {
		a, b string
		n    int
	}{{"Order 10023 is late", "order 99874 is late!", 1}, {"late since 2026-11-02", "late since 2026-12-24", 1}, {"1 star", "5 stars", 2}, {"1 star", "5 star", 2}, {"Room 12", "Room 14", 2}, {"7", "123", 2}, {"a1234", "a12345", 1}, {"red lamp 1/10", "red lamp 9/10", 2}, {"red lamp 1/10", "red lamp 10/10", 2}, {"4.5/5", "1.5/5", 2}, {"at 10:30", "at 11:45", 2},
		{"code A1B2C3D4", "code F9E8D7C6", 1}, {"订单12345没到", "订单99887没到", 1}, {"order ٠١٢٣٤", "order ٩٨٧٦٥", 1}} {
		if got := latest([]Correction{{c.a, "", "sentiment", "positive"}, {c.b, "", "sentiment", "negative"}}, "sentiment"); len(got) != c.n {
			t.Errorf("%q and %q are %d texts, want %d", c.a, c.b, len(got), c.n)
		}
	}
	if h, _ := Adapt(c, nil, right, "acme", "2026-11-24"); h == nil || h.Card.Sources[0].Rows != 80 {
		t.Errorf("the card does not name the 80 corrections")
	}
}

func TestSignTestIsExact(t *testing.T) {
	for _, c := range []struct {
		heads, tails int
		want         float64
	}{{0, 0, 1}, {5, 0, 1. / 32}, {0, 5, 1}, {8, 2, 56. / 1024}, {4, 1, 6. / 32}, {60, 40, 0.028443966820490395}, {3000, 3000, 0.505150}} {
		if got := signTest(c.heads, c.tails); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%d heads, %d tails: %v, want %v", c.heads, c.tails, got, c.want)
		}
	}
}

func TestTheOrderOfCorrectionsDoesNotMatter(t *testing.T) {
	c := loaded(t)
	set := own("en", 30)
	a, _ := Adapt(c, nil, set, "acme", "2026-11-24")
	slices.Reverse(set)
	b, _ := Adapt(c, nil, set, "acme", "2026-11-24")
	if !reflect.DeepEqual(a, b) {
		t.Error("the same corrections in another order give another model")
	}
}

func TestCorrectionsAreReadAsEventsAndPeopleWriteThem(t *testing.T) {
	in := "\ufeff" + `{"text":"a","axis":"intent","new_value":"suggestion","lang":"en"}` + "\r\n" + `{"text":"b","label":" Very_Negative "}
{"text":"c","axis":"Churn","new_value":"leave"}

{"text":"d","axis":"urgency","new_value":"high"}
{"text":"e","axis":"intent","new_value":"blue"}
{"text":" ","axis":"intent","new_value":"praise"}
{"text":"` + strings.Repeat("x", classify.MaxLine) + `","label":"positive"}
{"text":"f","language":"de","label":"positive"}`
	got, left, err := ReadCorrections(strings.NewReader(in))
	want := []Correction{{"a", "en", "intent", "request"}, {"b", "", "sentiment", "negative"}, {"c", "", "churn", "leave"}, {"f", "de", "sentiment", "positive"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	wantLeft := []string{`line 5: axis "urgency" is learned by no head; these are: polarity, `, `line 6: new_value "blue" is no class of intent, which are: complaint, `,
		"line 7: text is empty", "line 8: is longer than "}
	if len(left) != len(wantLeft) {
		t.Fatalf("left out %v, want %d", left, len(wantLeft))
	}
	for i, want := range wantLeft {
		if !strings.HasPrefix(left[i].Error(), want) {
			t.Errorf("left out: %v, want %q", left[i], want)
		}
	}
	for bad, want := range map[string]string{"{\"text\":\"a\",\"label\":\"positive\"}\n{": "line 2: is no JSON object", `{"text":7}`: "line 1: text is of the type number, want string", `[]`: "line 1: is no object in braces, but: array"} {
		if _, _, err := ReadCorrections(strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", bad, err, want)
		}
	}
}
