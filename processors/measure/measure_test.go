package measure

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/earshot/earshot/schemas"
)

func num(x float64) *float64 { return &x }

func yes(b bool) *bool { return &b }

// none marks an absent score in the rows.
var none = math.NaN()

func same(s schemas.Score, want float64) bool {
	if math.IsNaN(want) {
		return !s.Valid && s.Value == 0
	}
	return s.Valid && float64(s.Value) == want
}

func TestRatings(t *testing.T) {
	for _, test := range []struct {
		claim                  string
		d                      schemas.Data
		rating, csat, nps, ces float64
	}{
		{"five stars", schemas.Data{FieldType: "rating", Number: num(5)}, 1, 1, none, none},
		{"four stars are satisfied", schemas.Data{FieldType: "rating", Number: num(4)}, 0.5, 1, none, none},
		{"three stars are the neutral middle", schemas.Data{FieldType: "rating", Number: num(3)}, 0, 0.5, none, none},
		{"two stars", schemas.Data{FieldType: "rating", Number: num(2)}, -0.5, 0, none, none},
		{"one star", schemas.Data{FieldType: "rating", Number: num(1)}, -1, 0, none, none},
		{"a bare number is read as stars", schemas.Data{Number: num(5)}, 1, 1, none, none},
		{"a bare number off the stars is no rating", schemas.Data{Number: num(8)}, none, none, none, none},
		{"csat has the scale 1–5 by default", schemas.Data{FieldType: "csat", Number: num(4)}, 0.5, 1, none, none},
		{"csat on 1–3: only the best", schemas.Data{FieldType: "csat", Number: num(3), ScaleMin: num(1), ScaleMax: num(3)}, 1, 1, none, none},
		{"csat on 1–3: the middle", schemas.Data{FieldType: "csat", Number: num(2), ScaleMin: num(1), ScaleMax: num(3)}, 0, 0.5, none, none},
		{"csat on 1–7: 6 is satisfied", schemas.Data{FieldType: "csat", Number: num(6), ScaleMin: num(1), ScaleMax: num(7)}, float64(schemas.Quantise(2.0 / 3)), 1, none, none},
		{"csat on 1–7: 3 is not", schemas.Data{FieldType: "csat", Number: num(3), ScaleMin: num(1), ScaleMax: num(7)}, float64(schemas.Quantise(-1.0 / 3)), 0, none, none},
		{"csat on 1–7: 5 is neutral, being no worse than the middle", schemas.Data{FieldType: "csat", Number: num(5), ScaleMin: num(1), ScaleMax: num(7)}, float64(schemas.Quantise(1.0 / 3)), 0.5, none, none},
		{"csat on 1–7: 4 is the middle", schemas.Data{FieldType: "csat", Number: num(4), ScaleMin: num(1), ScaleMax: num(7)}, 0, 0.5, none, none},
		{"csat on 1–10: 9 is satisfied", schemas.Data{FieldType: "csat", Number: num(9), ScaleMin: num(1), ScaleMax: num(10)}, float64(schemas.Quantise(7.0 / 9)), 1, none, none},
		{"csat on 1–10: 8 is neutral", schemas.Data{FieldType: "csat", Number: num(8), ScaleMin: num(1), ScaleMax: num(10)}, float64(schemas.Quantise(5.0 / 9)), 0.5, none, none},
		{"csat on two points: the better one", schemas.Data{FieldType: "csat", Number: num(1), ScaleMin: num(0), ScaleMax: num(1)}, 1, 1, none, none},
		{"csat on two points: the other", schemas.Data{FieldType: "csat", Number: num(0), ScaleMin: num(0), ScaleMax: num(1)}, -1, 0, none, none},
		{"csat on 0–100 by place: 70 is satisfied", schemas.Data{FieldType: "csat", Number: num(70), ScaleMin: num(0), ScaleMax: num(100)}, float64(schemas.Quantise(0.4)), 1, none, none},
		{"csat on 0–100 by place: 69 is neutral", schemas.Data{FieldType: "csat", Number: num(69), ScaleMin: num(0), ScaleMax: num(100)}, float64(schemas.Quantise(0.38)), 0.5, none, none},
		{"csat on 0–100: 50 is the middle", schemas.Data{FieldType: "csat", Number: num(50), ScaleMin: num(0), ScaleMax: num(100)}, 0, 0.5, none, none},
		{"lower is better turns the scale", schemas.Data{FieldType: "csat", Number: num(1), ScaleDir: "lower_better"}, 1, 1, none, none},
		{"lower is better: 2 of 5 is satisfied", schemas.Data{FieldType: "csat", Number: num(2), ScaleDir: "lower_better"}, 0.5, 1, none, none},
		{"lower is better: 5 of 5 is the worst", schemas.Data{FieldType: "csat", Number: num(5), ScaleDir: "lower_better"}, -1, 0, none, none},
		{"nps 10 promotes", schemas.Data{FieldType: "nps", Number: num(10)}, 1, none, 1, none},
		{"nps 9 promotes", schemas.Data{FieldType: "nps", Number: num(9)}, float64(schemas.Quantise(0.8)), none, 1, none},
		{"nps 8 is passive", schemas.Data{FieldType: "nps", Number: num(8)}, float64(schemas.Quantise(0.6)), none, 0, none},
		{"nps 7 is passive", schemas.Data{FieldType: "nps", Number: num(7)}, float64(schemas.Quantise(0.4)), none, 0, none},
		{"nps 6 detracts", schemas.Data{FieldType: "nps", Number: num(6)}, float64(schemas.Quantise(0.2)), none, -1, none},
		{"nps 0 detracts", schemas.Data{FieldType: "nps", Number: num(0)}, -1, none, -1, none},
		{"nps on 1–5 is no nps", schemas.Data{FieldType: "nps", Number: num(5), ScaleMin: num(1), ScaleMax: num(5)}, 1, none, none, none},
		{"a rating on 0–10 is no nps", schemas.Data{FieldType: "rating", Number: num(10), ScaleMin: num(0), ScaleMax: num(10)}, 1, 1, none, none},
		{"half a point is no nps answer", schemas.Data{FieldType: "nps", Number: num(8.5)}, float64(schemas.Quantise(0.7)), none, none, none},
		{"ces 7", schemas.Data{FieldType: "ces", Number: num(7)}, 1, none, none, 7},
		{"ces 4", schemas.Data{FieldType: "ces", Number: num(4)}, 0, none, none, 4},
		{"ces where lower is better is turned", schemas.Data{FieldType: "ces", Number: num(2), ScaleDir: "lower_better"}, float64(schemas.Quantise(2.0 / 3)), none, none, 6},
		{"ces on 1–5 is no ces", schemas.Data{FieldType: "ces", Number: num(5), ScaleMin: num(1), ScaleMax: num(5)}, 1, none, none, none},
		{"yes is satisfied", schemas.Data{FieldType: "boolean", Boolean: yes(true)}, 1, 1, none, none},
		{"no is not", schemas.Data{FieldType: "boolean", Boolean: yes(false)}, -1, 0, none, none},
		{"yes where lower is better is bad", schemas.Data{FieldType: "boolean", Boolean: yes(true), ScaleDir: "lower_better"}, -1, 0, none, none},
		{"a choice is no rating", schemas.Data{FieldType: "categorical", Number: num(3)}, none, none, none, none},
		{"a number without a scale is no rating", schemas.Data{FieldType: "number", Number: num(3)}, none, none, none, none},
		{"a number with a scale is one", schemas.Data{FieldType: "number", Number: num(10), ScaleMin: num(0), ScaleMax: num(10)}, 1, 1, none, none},
		{"an answer off the scale is none", schemas.Data{FieldType: "csat", Number: num(6)}, none, none, none, none},
		{"an answer below the scale is none", schemas.Data{FieldType: "csat", Number: num(0)}, none, none, none, none},
		{"a scale without width gives nothing", schemas.Data{FieldType: "rating", Number: num(3), ScaleMin: num(3), ScaleMax: num(3)}, none, none, none, none},
		{"a scale turned round gives nothing", schemas.Data{FieldType: "rating", Number: num(3), ScaleMin: num(5), ScaleMax: num(1)}, none, none, none, none},
		{"NaN gives nothing", schemas.Data{FieldType: "rating", Number: num(math.NaN())}, none, none, none, none},
		{"no answer", schemas.Data{FieldType: "rating"}, none, none, none, none},
		{"an agent's rating is no customer's", schemas.Data{FieldType: "rating", Number: num(5), ActorKind: "agent"}, none, none, none, none},
		{"a bot's rating is no customer's", schemas.Data{FieldType: "csat", Number: num(5), ActorKind: "bot"}, none, none, none, none},
	} {
		t.Run(test.claim, func(t *testing.T) {
			e := schemas.Event{Kind: schemas.RatingSubmitted, Data: test.d}
			s := Measure(&e, nil)
			if !same(s.Rating, test.rating) || !same(s.CSAT, test.csat) || !same(s.NPS, test.nps) || !same(s.CES, test.ces) {
				t.Errorf("rating %v csat %v nps %v ces %v; want %v %v %v %v", s.Rating, s.CSAT, s.NPS, s.CES, test.rating, test.csat, test.nps, test.ces)
			}
			if r := Rating(&e); r != s.Rating {
				t.Errorf("Rating gives %v, Measure %v", r, s.Rating)
			}
		})
	}
}

func TestMentionsAreAveragedPerAxis(t *testing.T) {
	l := schemas.Labels{Mentions: []schemas.Mention{
		{Element: schemas.Service, Facet: schemas.Sale, S5: schemas.Smile, Polarity: 0.5, Confidence: 0.9},
		{Element: schemas.Service, Facet: schemas.Sale, S5: schemas.Speed, Polarity: -1, Confidence: 0.1},
		{Element: schemas.Product, Facet: schemas.Price, Polarity: 0, Confidence: 0.4},
		{Element: schemas.Image, Polarity: -0.5, Confidence: 1},
	}}
	e := schemas.Event{Kind: schemas.FeedbackReceived}
	s := Measure(&e, &l)
	for _, c := range []struct {
		claim string
		got   schemas.Score
		want  float64
	}{
		{"service is the plain mean, whatever the confidence", s.Element[1], -0.25},
		{"a neutral mention counts as 0", s.Element[0], 0},
		{"an element as a whole", s.Element[2], -0.5},
		{"a mention without facet gives no facet", s.Facet[6], none},
		{"sale", s.Facet[4], -0.25},
		{"price", s.Facet[2], 0},
		{"a facet nobody named", s.Facet[1], none},
		{"smile", s.S5[0], 0.5},
		{"speed", s.S5[1], -1},
		{"a virtue nobody named", s.S5[4], none},
		{"no rating", s.Rating, none},
	} {
		if !same(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.claim, c.got, c.want)
		}
	}
	for _, actor := range []string{"agent", "bot", "system"} {
		e.Data.ActorKind = actor
		if s := Measure(&e, &l); s != (schemas.Scores{}) {
			t.Errorf("a message of an %s gives %+v, want nothing", actor, s)
		}
	}
	e = schemas.Event{Kind: schemas.AgentResponded}
	if s := Measure(&e, &l); s != (schemas.Scores{}) {
		t.Errorf("an answer of the company gives %+v, want nothing", s)
	}
}

func TestEveryAxisHasItsPlace(t *testing.T) {
	one := func(m schemas.Mention) schemas.Scores {
		m.Polarity = 1
		return Measure(&schemas.Event{}, &schemas.Labels{Mentions: []schemas.Mention{m}})
	}
	for i, e := range schemas.Elements() {
		if s := one(schemas.Mention{Element: e}); !s.Element[i].Valid {
			t.Errorf("%s is not at place %d", e, i)
		}
	}
	for i, f := range schemas.Facets() {
		if s := one(schemas.Mention{Element: f.Element(), Facet: f}); !s.Facet[i].Valid {
			t.Errorf("%s is not at place %d", f, i)
		}
	}
	for i, v := range schemas.Virtues() {
		if s := one(schemas.Mention{Element: schemas.Service, S5: v}); !s.S5[i].Valid {
			t.Errorf("%s is not at place %d", v, i)
		}
	}
}

func TestHintsPlaceARating(t *testing.T) {
	e := schemas.Event{Kind: schemas.RatingSubmitted, Data: schemas.Data{FieldType: "rating", Number: num(1), ElementHint: schemas.Service, S5Hint: schemas.Speed, StageHint: "aftersale"}}
	s := Measure(&e, nil)
	if !same(s.Element[1], -1) || !same(s.S5[1], -1) || !same(s.Facet[5], -1) {
		t.Errorf("the hints give %+v, want service, speed and aftersale at -1", s)
	}
	if s.Element[0].Valid || s.Element[2].Valid {
		t.Errorf("an element without hint has a score: %+v", s)
	}
	l := schemas.Labels{Mentions: []schemas.Mention{{Element: schemas.Service, Polarity: 0.5}}}
	if s := Measure(&e, &l); !same(s.Element[1], 0.5) {
		t.Errorf("service is %v, want the mention's 0.5 and not the rating", s.Element[1])
	}
	e.Data.ElementHint, e.Data.StageHint = schemas.Product, "sale"
	if s := Measure(&e, nil); !same(s.Element[0], -1) || s.S5[1].Valid || s.Facet[4].Valid {
		t.Errorf("a rating of the product gives %+v, want no virtue and no stage of service", s)
	}
	e.Data.Number = nil
	if s := Measure(&e, nil); s != (schemas.Scores{}) {
		t.Errorf("hints without a rating give %+v, want nothing", s)
	}
}

// TestScalesAreMonotoneAndSymmetric tries random scales: a better answer never scores worse, the mirrored answer scores
// the mirror, and the turned scale the same as the mirror.
func TestScalesAreMonotoneAndSymmetric(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 11))
	for range 20000 {
		lo := float64(rng.IntN(200) - 100)
		hi := lo + float64(1+rng.IntN(100))
		kind := []string{"rating", "csat", "nps", "ces", "number"}[rng.IntN(5)]
		ask := func(x float64, dir string) schemas.Scores {
			return Measure(&schemas.Event{Data: schemas.Data{FieldType: kind, Number: &x, ScaleMin: &lo, ScaleMax: &hi, ScaleDir: dir}}, nil)
		}
		a := lo + float64(rng.IntN(int(hi-lo)+1))
		b := lo + float64(rng.IntN(int(hi-lo)+1))
		if a > b {
			a, b = b, a
		}
		sa, sb := ask(a, ""), ask(b, "")
		if sa.Rating.Value > sb.Rating.Value || sa.CSAT.Value > sb.CSAT.Value || sa.NPS.Value > sb.NPS.Value || sa.CES.Value > sb.CES.Value {
			t.Fatalf("%s on %v–%v: %v gives %+v, %v gives %+v", kind, lo, hi, a, sa, b, sb)
		}
		mirror := lo + hi - a
		if m := ask(mirror, ""); m.Rating.Value != -sa.Rating.Value {
			t.Fatalf("%s on %v–%v: %v gives %v, its mirror %v", kind, lo, hi, a, sa.Rating, m.Rating)
		}
		if m, d := ask(mirror, ""), ask(a, "lower_better"); m.Rating != d.Rating || m.CSAT != d.CSAT || m.CES != d.CES {
			t.Fatalf("%s on %v–%v: %v turned gives %+v, its mirror %+v", kind, lo, hi, a, d, m)
		}
	}
}

func TestARatingDisagreesWithPlainWordsOnly(t *testing.T) {
	for _, test := range []struct {
		claim      string
		stars      float64
		words      schemas.Polarity
		confidence float32
		want       bool
	}{
		{"five stars for angry words", 5, schemas.Negative, 0.9, true},
		{"four stars for angry words", 4, schemas.Negative, 0.8, true},
		{"one star for praise", 1, schemas.Positive, 0.95, true},
		{"two stars for praise", 2, schemas.Positive, 0.8, true},
		{"the middle disagrees with nothing", 3, schemas.Negative, 0.99, false},
		{"words without a direction", 1, schemas.Neutral, 0.99, false},
		{"unsure words", 1, schemas.Positive, 0.79, false},
		{"words that cannot be read", 1, "", 0.99, false},
		{"agreement", 5, schemas.Positive, 0.99, false},
	} {
		e := schemas.Event{Data: schemas.Data{FieldType: "rating", Number: num(test.stars)}}
		l := schemas.Labels{Polarity: test.words, SentimentText: test.words, Confidence: test.confidence}
		s := Measure(&e, &l)
		if s.RatingDisagrees != test.want {
			t.Errorf("%s: %v, want %v", test.claim, s.RatingDisagrees, test.want)
		}
		if got := s.Rating.Value; got != Rating(&e).Value || l.SentimentText != test.words {
			t.Errorf("%s: rating %v and words %v were changed", test.claim, got, l.SentimentText)
		}
	}
	e := schemas.Event{Data: schemas.Data{ActorKind: "agent", FieldType: "rating", Number: num(5)}}
	if s := Measure(&e, &schemas.Labels{SentimentText: schemas.Negative, Confidence: 1}); s.RatingDisagrees {
		t.Error("an agent's words disagree with a customer's rating")
	}
}
