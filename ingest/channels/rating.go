package channels

import (
	"strings"

	"github.com/earshot/earshot/schemas"
)

// rate puts a number on its scale into the data. What is off the scale is no rating: a guess would be worse than a gap.
func rate(d *schemas.Data, s scalar, kind string, lo, hi float64) {
	x, ok := s.number()
	if !ok || x < lo || x > hi {
		return
	}
	d.Number, d.ScaleMin, d.ScaleMax, d.FieldType = &x, &lo, &hi, kind
}

// words are ratings that are given as words, as steps from 1 of so many.
var words = map[string][2]float64{
	"bad": {1, 2}, "good": {2, 2}, "bad with comment": {1, 2}, "good with comment": {2, 2},
	"unsatisfied": {1, 2}, "satisfied": {2, 2}, "thumbs_down": {1, 2}, "thumbs_up": {2, 2},
	"okay": {2, 3}, "great": {3, 3},
	"unhappy": {1, 3}, "neutral": {2, 3}, "happy": {3, 3},
}

// rateWord puts a rating that is a word into the data, as a step of a satisfaction scale.
func rateWord(d *schemas.Data, word string) {
	if step, ok := words[strings.ToLower(strings.TrimSpace(word))]; ok {
		lo := 1.0
		d.Number, d.ScaleMin, d.ScaleMax, d.FieldType = &step[0], &lo, &step[1], "csat"
	}
}

// freshdeskSteps are Freshdesk's seven values from worst to best; its scales of 2, 3 and 5 points use some of them.
var freshdeskSteps = []string{"-103", "-102", "-101", "100", "101", "102", "103"}

// rateFreshdesk puts one of Freshdesk's values into the data, as a step from 1 to 7.
func rateFreshdesk(d *schemas.Data, s scalar) {
	for i, v := range freshdeskSteps {
		if v == strings.TrimSpace(string(s)) {
			x, lo, hi := float64(i+1), 1.0, 7.0
			d.Number, d.ScaleMin, d.ScaleMax, d.FieldType = &x, &lo, &hi, "csat"
		}
	}
}

// asksToRecommend says whether a question is the one of the net promoter score, by its words. A scale from 0 to 10 alone
// does not make it one.
func asksToRecommend(question string) bool {
	q := strings.ToLower(question)
	for _, word := range []string{"recommend", "weiterempfehl", "empfehlen", "recommand", "recomend", "consigli", "aanbevelen", "推荐", "推薦", "порекоменд", "すすめ", "勧め"} {
		if strings.Contains(q, word) {
			return true
		}
	}
	return false
}

// scaleKind is the type of a numeric answer by its scale and its question.
func scaleKind(question string, lo, hi float64) string {
	if lo == 0 && hi == 10 && asksToRecommend(question) {
		return "nps"
	}
	return "rating"
}
