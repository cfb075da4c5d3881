package worker

import (
	"maps"
	"slices"

	"github.com/earshot/earshot/processors/classify"
	"github.com/earshot/earshot/processors/measure"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/processors/themes"
	"github.com/earshot/earshot/schemas"
)

// Labeller is a classifier with a name. [classify.Classifier] is one.
type Labeller interface {
	Classifier
	// Model names it: what has another name may give other labels.
	Model() string
}

// Adapted is a labeller of which some tenants have one of their own, adapted to their corrections. What it is unsure of may
// be asked of a second one, and tenants may have themes that were discovered in what their customers say.
type Adapted struct {
	Labeller
	Tenants map[string]Labeller
	Second  Reviser                        // nil: nobody is asked again
	Themes  func() map[string]*themes.Book // by tenant, as they are now; nil: there are none
}

// Model names all of them, so that a reclassification that is cut off goes on with the same ones only.
func (a Adapted) Model() string {
	name := a.Labeller.Model()
	for _, tenant := range slices.Sorted(maps.Keys(a.Tenants)) {
		name += " " + tenant + ":" + a.Tenants[tenant].Model()
	}
	if a.Second != nil {
		name += " revised by " + a.Second.Name()
	}
	if a.Themes != nil {
		books := a.Themes()
		for _, tenant := range slices.Sorted(maps.Keys(books)) {
			name += " " + tenant + ":" + books[tenant].Name()
		}
	}
	return name
}

func (a Adapted) of(tenant string) Classifier {
	if own, ok := a.Tenants[tenant]; ok {
		return own
	}
	return a.Labeller
}

// label classifies and measures the event of a row, and seals the row.
func label(r *schemas.Row, by Classifier) {
	a, adapted := by.(Adapted)
	if adapted {
		by = a.of(r.Event.Tenant)
	}
	in := input(r.Event)
	r.Labels = by.Classify(in)
	if adapted {
		a.mark(r)
	}
	if r.Labels.Quality == schemas.QualityEmpty && !in.Rating.Valid {
		unjudge(&r.Labels)
	}
	finish(r)
}

// unjudge takes away what labels say of an event in which nobody said anything, in words or by a rating, such as a survey that was
// sent: it is no neutral text, and no figure counts it as one.
func unjudge(l *schemas.Labels) {
	l.Polarity, l.Sentiment, l.SentimentText, l.Score, l.Confidence, l.Probabilities = "", "", "", 0, 0, [3]float32{}
}

// input is what the classifier is told of an event.
func input(e *schemas.Event) classify.Input {
	d := &e.Data
	return classify.Input{
		Text: privacy.Neutral(d.Text), Language: d.Language, Kind: e.Kind, Channel: d.Channel, FieldType: d.FieldType,
		QuestionText: privacy.Neutral(d.QuestionText), StageHint: d.StageHint, ActorKind: d.ActorKind,
		ElementHint: d.ElementHint, S5Hint: d.S5Hint, Rating: measure.Rating(e),
	}
}

// mark adds the tenant's own themes to the labels of a row, and their version to the model's name.
func (a Adapted) mark(r *schemas.Row) {
	if a.Themes == nil {
		return
	}
	if book := a.Themes()[r.Event.Tenant]; book != nil {
		book.Mark(r.Event.Data.Text, &r.Labels)
		r.Labels.Model += "/" + book.Name()
	}
}

// finish measures a row whose labels are made, and seals it.
func finish(r *schemas.Row) {
	r.Scores = measure.Measure(r.Event, &r.Labels)
	seal(r)
}

func seal(r *schemas.Row) {
	var scratch [1 << 10]byte // on the stack; longer rows move to the heap by themselves
	r.Seal(scratch[:0])
}
