package classify

import "testing"

// TestWhatIsSaidOnBothSidesIsLessSure reads words for and against each other, and the same words cut into two sentences.
func TestWhatIsSaidOnBothSidesIsLessSure(t *testing.T) {
	c := mustLoad(t)
	h := &c.Heads().Sentiment
	if h.Several <= 0 || h.Mixed <= 0 {
		t.Fatalf("the temperature grows by %v and %v; train the model with more than one source", h.Several, h.Mixed)
	}
	soft := func(text string) float64 {
		a := c.newAnalysis()
		a.read(text, "en")
		v := a.document()
		return h.softness(v.several, v.dense[:]) / h.Temperature
	}
	for _, test := range []struct {
		text           string
		several, mixed bool
	}{
		{"the room was great and the bed excellent", false, false},
		{"the room was great, but the bed excellent", false, false},
		{"the room was great. The bed was excellent", true, false},
		{"the room was great, the bed terrible", false, true},
		{"The room was great. The bed was terrible.", true, true},
		{"the room was great, the bed excellent and the bar good, the tap leaked badly", false, true},
		{"", false, false},
	} {
		by := soft(test.text) - 1
		if test.several {
			by -= h.Several
		}
		if test.mixed != (by > 0.05) || by < -1e-9 {
			t.Errorf("%q: the temperature is %.3f times that of a plain text; several sentences %v, both sides %v", test.text, 1+by, test.several, test.mixed)
		}
	}
}

// TestASofterHeadStillSaysTheSame holds the growth of the temperature to what it is for: it moves how sure a label is, never
// the label.
func TestASofterHeadStillSaysTheSame(t *testing.T) {
	c := mustLoad(t)
	h := c.Heads().Clone()
	h.Sentiment.Several, h.Sentiment.Mixed = 3, 5
	softer := c.With(h)
	moved := 0
	for _, text := range tweets(t) {
		a, b := c.Classify(Input{Text: text, Language: "en"}), softer.Classify(Input{Text: text, Language: "en"})
		if a.Polarity != b.Polarity || b.Confidence > a.Confidence {
			t.Errorf("%q: %s %.3f, softer %s %.3f", text, a.Polarity, a.Confidence, b.Polarity, b.Confidence)
		}
		if b.Confidence < a.Confidence {
			moved++
		}
	}
	if moved == 0 {
		t.Error("no text is less sure with a softer head")
	}
}
