// Package measure turns ratings and mentions into the fixed score columns of an event.
//
// One event passes through once, after its text was classified: its rating is brought from whatever scale it was given
// on to −1 … 1, the metrics that its own scale and type allow are read off it, and the mentions of its text are averaged
// per element, facet and virtue. Nothing is remembered between events.
//
// What it refuses to do: it never turns one scale into another metric (an answer on 1–5 is no NPS, however it is
// stretched), never counts what the company's own people wrote as a customer's satisfaction, and never fills an axis
// that nobody spoke of: an absent score stays absent.
package measure

import (
	"math"

	"github.com/earshot/earshot/schemas"
)

// Measure returns the score columns of one event. l may be nil, which means that the event has no text.
//
// Element, facet and virtue are plain means of the polarities of the mentions on that axis: every mention counts once,
// whatever its confidence, so that a figure can be checked by hand from the rows. A mention with a polarity of exactly 0
// counts as 0. A rating with an element, stage or virtue hint gives that axis its value where no mention speaks of it.
func Measure(e *schemas.Event, l *schemas.Labels) schemas.Scores {
	var s schemas.Scores
	if !byCustomer(e) {
		return s
	}
	if l != nil {
		mentions(&s, l.Mentions)
	}
	if r, ok := answer(&e.Data); ok {
		rate(&s, &r)
		hints(&s, &e.Data)
		s.RatingDisagrees = l != nil && disagrees(s.Rating.Value, l)
	}
	return s
}

// When a rating and the words beside it disagree: both are plain, and they point in opposite directions.
const (
	plainRating = 0.5 // one or two, four or five of five; on −1 … 1
	plainWords  = 0.8 // the least probability of the words' polarity
)

// disagrees says whether the rating and the words point in opposite directions. A rating in the middle, words without a
// direction and words that the classifier is unsure of disagree with nothing.
func disagrees(rating float32, l *schemas.Labels) bool {
	if l.Confidence < plainWords {
		return false
	}
	return rating >= plainRating && l.SentimentText == schemas.Negative || rating <= -plainRating && l.SentimentText == schemas.Positive
}

// Rating returns the rating of an event on −1 … 1, higher is better, a multiple of 1/128; absent where there is none,
// where it is off its scale, or where the company's own people or systems gave it. The classifier wants it before there
// are labels.
func Rating(e *schemas.Event) schemas.Score {
	if !byCustomer(e) {
		return schemas.Score{}
	}
	r, ok := answer(&e.Data)
	if !ok {
		return schemas.Score{}
	}
	return r.unit()
}

func byCustomer(e *schemas.Event) bool {
	return (e.Data.ActorKind == "" || e.Data.ActorKind == "customer") && e.Kind != schemas.AgentResponded
}

func mentions(s *schemas.Scores, ms []schemas.Mention) {
	var element [3]mean
	var facet [7]mean
	var virtue [5]mean
	for i := range ms {
		m := &ms[i]
		if k := m.Element.Place(); k >= 0 {
			element[k].add(m.Polarity)
		}
		if k := m.Facet.Place(); k >= 0 {
			facet[k].add(m.Polarity)
		}
		if k := m.S5.Place(); k >= 0 {
			virtue[k].add(m.Polarity)
		}
	}
	for k := range element {
		s.Element[k] = element[k].score()
	}
	for k := range facet {
		s.Facet[k] = facet[k].score()
	}
	for k := range virtue {
		s.S5[k] = virtue[k].score()
	}
}

// mean sums multiples of 1/128, which is exact.
type mean struct {
	sum float64
	n   int
}

func (m *mean) add(x float32) { m.sum += float64(x); m.n++ }

func (m *mean) score() schemas.Score {
	if m.n == 0 {
		return schemas.Score{}
	}
	return schemas.Score{Value: schemas.Quantise(m.sum / float64(m.n)), Valid: true}
}

// hints gives the hinted axes the rating where no mention speaks of them. A virtue without an element is one of service.
func hints(s *schemas.Scores, d *schemas.Data) {
	set := func(to *schemas.Score) {
		if !to.Valid {
			*to = s.Rating
		}
	}
	if k := d.ElementHint.Place(); k >= 0 {
		set(&s.Element[k])
	}
	if d.ElementHint == schemas.Service || d.ElementHint == "" && d.S5Hint != "" {
		if k := d.S5Hint.Place(); k >= 0 {
			set(&s.S5[k])
			set(&s.Element[1])
		}
		if f := schemas.Facet(d.StageHint); f.Element() == schemas.Service {
			set(&s.Facet[f.Place()])
		}
	}
}

// rated is an answer with the scale it was given on.
type rated struct {
	kind   string // field type
	lo, hi float64
	value  float64
	lower  bool // lower is better
}

// unit maps the scale to −1 … 1.
func (r *rated) unit() schemas.Score {
	x := (2*r.value - r.lo - r.hi) / (r.hi - r.lo)
	if r.lower {
		x = -x
	}
	return schemas.Score{Value: schemas.Quantise(x), Valid: true}
}

// scales are the scales of the field types where the event names none.
var scales = map[string][2]float64{"nps": {0, 10}, "csat": {1, 5}, "ces": {1, 7}, "rating": {1, 5}}

// answer reads the rating of an event. There is none where the field is no rating ("categorical", "number", "date",
// "text"), the scale has no width, or the answer lies off the scale: a guess would be worse than a gap.
func answer(d *schemas.Data) (rated, bool) {
	r := rated{kind: d.FieldType, lower: d.ScaleDir == "lower_better"}
	if d.Number == nil {
		if d.Boolean == nil || d.FieldType != "" && d.FieldType != "boolean" {
			return r, false
		}
		r.kind, r.hi = "boolean", 1
		if *d.Boolean {
			r.value = 1
		}
		return r, true
	}
	r.value = *d.Number
	switch r.kind {
	case "", "number":
		// A bare number is a rating only with a scale.
		if d.ScaleMin == nil || d.ScaleMax == nil {
			if r.kind == "number" {
				return r, false
			}
			r.kind = "rating"
		}
	case "nps", "csat", "ces", "rating":
	case "boolean":
		r.hi = 1
	default:
		return r, false
	}
	if s, ok := scales[r.kind]; ok {
		r.lo, r.hi = s[0], s[1]
	}
	if d.ScaleMin != nil {
		r.lo = *d.ScaleMin
	}
	if d.ScaleMax != nil {
		r.hi = *d.ScaleMax
	}
	if !(r.hi > r.lo) || math.IsInf(r.hi-r.lo, 0) || !(r.value >= r.lo && r.value <= r.hi) {
		return r, false
	}
	return r, true
}

// rate sets the rating columns.
func rate(s *schemas.Scores, r *rated) {
	s.Rating = r.unit()
	s.CSAT = csat(r)
	whole := r.value == math.Trunc(r.value)
	switch {
	case r.kind == "nps" && r.lo == 0 && r.hi == 10 && whole && !r.lower:
		v := float32(0)
		if r.value >= 9 {
			v = 1
		} else if r.value <= 6 {
			v = -1
		}
		s.NPS = schemas.Score{Value: v, Valid: true}
	case r.kind == "ces" && r.lo == 1 && r.hi == 7:
		v := r.value
		if r.lower {
			v = 8 - v
		}
		s.CES = schemas.Score{Value: float32(v), Valid: true}
	}
}

// csat says whether an answer counts as satisfied, by the top box of its scale: 2 points: the better one; 1–3: the best;
// 1–5: the best two; 1–7 and 1–10: the best two. Any other scale, fractions included, by its place: satisfied is the top
// 30 % of the way. What is not worse than the middle of the scale and not satisfied is neutral and counts one half (3 on
// 1–5; 4 and 5 on 1–7), so that a better answer never counts less than a worse one.
// An answer to "would you recommend" (nps) or "how easy was it" (ces) is not one of satisfaction and gives none.
func csat(r *rated) schemas.Score {
	switch r.kind {
	case "csat", "rating", "boolean", "number", "":
	default:
		return schemas.Score{}
	}
	v, points := r.value-r.lo, r.hi-r.lo+1 // v = 0 … points − 1
	if r.lower {
		v = r.hi - r.value
	}
	middle := (points - 1) / 2
	top := points - 2 // of a scale of whole steps, the first of the two best
	switch {
	case points == 2 || points == 3:
		top = points - 1
	case points == 5 && r.lo == 1, points == 7 && r.lo == 1, points == 10 && r.lo == 1:
	default:
		top = 0.7 * (points - 1)
	}
	switch {
	case v >= top:
		return schemas.Score{Value: 1, Valid: true}
	case v >= middle:
		return schemas.Score{Value: 0.5, Valid: true}
	}
	return schemas.Score{Value: 0, Valid: true}
}
