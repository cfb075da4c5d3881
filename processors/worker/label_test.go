package worker

import (
	"testing"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/schemas"
)

// Only who said something, in words or by a rating, counts among the texts of a figure.
func TestWhoSaidNothingIsNoNeutralText(t *testing.T) {
	by, err := classify.Load()
	if err != nil {
		t.Fatal(err)
	}
	two := 2.0
	for _, c := range []struct {
		claim string
		kind  schemas.Kind
		data  schemas.Data
		want  schemas.Polarity
	}{
		{"a survey that was sent", schemas.SurveySent, schemas.Data{}, ""},
		{"its question is not the customer's", schemas.SurveySent, schemas.Data{QuestionText: "Was anything terrible?"}, ""},
		{"a verdict without words", schemas.DecisionAnswered, schemas.Data{Verdict: "agree"}, ""},
		{"blanks", schemas.FeedbackReceived, schemas.Data{Text: " \n"}, ""},
		{"words", schemas.FeedbackReceived, schemas.Data{Text: "Terrible service!"}, schemas.Negative},
		{"words that judge nothing", schemas.FeedbackReceived, schemas.Data{Text: "It is Tuesday."}, schemas.Neutral},
		{"a rating without words", schemas.RatingSubmitted, schemas.Data{FieldType: "csat", Number: &two}, schemas.Negative},
	} {
		e := &schemas.Event{ID: "1", Source: "/s", Tenant: "t", Kind: c.kind, Data: c.data}
		e.Data.Channel = "survey"
		r := schemas.Row{Event: e}
		label(&r, by)
		if r.Labels.Polarity != c.want {
			t.Errorf("%s: polarity %q, want %q", c.claim, r.Labels.Polarity, c.want)
		}
		if silent := c.want == ""; silent != (r.Labels.Sentiment == "") || silent && (r.Labels.Confidence != 0 || r.Labels.Probabilities != [3]float32{}) {
			t.Errorf("%s: sentiment %q with probabilities %v", c.claim, r.Labels.Sentiment, r.Labels.Probabilities)
		}
	}
}
