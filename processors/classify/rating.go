package classify

import "strings"

// rate is how good a written rating is on its own scale, in fifths; 0: no rating.
type rate uint8

const (
	rateWorst rate = 1 + iota
	rateBad
	rateMiddle
	rateGood
	rateBest
)

var rateNames = [...]string{rateWorst: "#worst", rateBad: "#bad", rateMiddle: "#middle", rateGood: "#good", rateBest: "#best"}

// hash is the pattern element that stands for the rating; no word has it.
func (r rate) hash() uint64 { return mix(uint64(r), numHash) }

// namedRate returns the rating that a pattern element names, 0: none.
func namedRate(elem string) rate {
	for r, name := range rateNames {
		if name == elem && name != "" {
			return rate(r)
		}
	}
	return 0
}

// onScale returns the rating that a number is on a scale. The product is rounded before it is added, on every processor.
func onScale(v, low, high float64) rate {
	at := (v - low) / (high - low)
	return rateWorst + rate(max(0, min(4, int(float64(at*4)+0.5))))
}

// The kinds of ratings.tsv. A number's class is ratingNumber + the number.
const (
	ratingStar  = iota
	ratingOf    // before the highest number: "out of"
	ratingOfAll // the same, where the rating is all there is or stars follow: "of", "von"
	ratingClass // after stars: they name a class
	ratingOff   // before or after: stars taken off, or not given
	ratingElse  // before: a date, a size, a place
	ratingPart  // after: a part or a measure
	ratingSays  // before: what follows is a rating
	ratingNumber
)

const (
	mostNumber  = 10 // in words
	maxBefore   = 3  // tokens before a rating that may say that it is one, or none
	fewTokens   = 3  // of a text that is a rating and little else
	mostInRates = 15 // tokens of a rating
)

// star symbols
const (
	fullStar   = "★"
	emptyStar  = "☆"
	yellowStar = "⭐"
)

func (l *loader) loadRatings() {
	kinds := map[string]int32{"star": ratingStar, "of": ratingOf, "all": ratingOfAll, "class": ratingClass, "off": ratingOff, "else": ratingElse,
		"part": ratingPart, "says": ratingSays, "number": ratingNumber}
	weighed := 0
	l.each("ratings.tsv", 3, func(r row) {
		value := l.number(r, 2)
		if r.cells[0] == "weigh" {
			if namedRate(r.cells[1]) == 0 {
				l.fault(r, "%q is no rating, want #worst, #bad, #middle, #good or #best", r.cells[1])
				return
			}
			weighed++
			for _, t := range l.tables() {
				for _, n := range l.in(t, r, r.cells[1]) {
					n.valence, n.hasValence = value, true
				}
			}
			return
		}
		kind, ok := kinds[r.cells[0]]
		switch {
		case !ok || strings.Contains(r.cells[1], "~"):
			l.fault(r, "unknown kind %q, want weigh, number, star, of, all, class, off, else, part or says, or a pattern with a gap", r.cells[0])
			return
		case kind == ratingNumber && (value < 0 || value > mostNumber || value != float32(int32(value))):
			l.fault(r, "%v is no whole number from 0 to %d", value, mostNumber)
			return
		case kind == ratingNumber:
			kind += int32(value)
			for _, n := range l.at(r, r.cells[1]) {
				n.rates = true
			}
		}
		for _, n := range l.in(l.ratings, r, r.cells[1]) {
			l.ratings.senses = append(l.ratings.senses, sense{class: kind, next: n.sense})
			n.sense = int32(len(l.ratings.senses) - 1)
		}
	})
	if weighed != len(rateNames)-1 {
		l.fault(row{file: "ratings.tsv", line: 1}, "%d ratings are weighed, want %d", weighed, len(rateNames)-1)
	}
}

// spells is the end of the longest pattern of ratings.tsv of a kind that starts at token i, 0: there is none.
func (a *analysis) spells(kind, i, last int32) (end int32) {
	t := a.c.ratings
	state := int32(0)
	for j := i; j < last; j++ {
		if state = t.step(state, a.tokens[j].hash); state == 0 {
			break
		}
		for k := t.nodes[state].sense; k >= 0; k = t.senses[k].next {
			if t.senses[k].class == kind {
				end = j + 1
			}
		}
	}
	return end
}

// ratings marks the tokens of a segment at which a written rating begins.
func (a *analysis) ratings(first, last int32) {
	for i := first; i < last; i++ {
		var r rate
		var end int32
		switch t := &a.tokens[i]; {
		case t.kind == symbolToken:
			r, end = a.starRow(i, last)
		case t.kind == numberToken, t.rates:
			r, end = a.rating(first, i, last)
		}
		if r != 0 && end-i <= mostInRates {
			a.tokens[i].rated = uint8(r)<<4 | uint8(end-i)
			a.rated = true
		}
		i = max(i, end-1)
	}
}

// rate is the rating that begins with the token, 0: none.
func (t *token) rate() rate { return rate(t.rated >> 4) }

// rateTokens is how many tokens make up that rating.
func (t *token) rateTokens() int32 { return int32(t.rated & 15) }

// scathing says whether a rating begins with the token that a negation leaves as bad as it is: "not even 1 star".
func (t *token) scathing() bool { r := t.rate(); return r == rateWorst || r == rateBad }

// numeral reads the number at token i, in digits or in a word; top is what follows a stroke in the same token, 0: nothing.
func (a *analysis) numeral(i int32) (v, top float64, ok bool) {
	t := &a.tokens[i]
	if t.kind == numberToken {
		return numeralOf(a.text[t.start:t.end])
	}
	n := &a.c.ratings.nodes[a.c.ratings.step(0, t.hash)]
	for k := n.sense; k >= 0; k = a.c.ratings.senses[k].next {
		if c := a.c.ratings.senses[k].class; c >= ratingNumber {
			return float64(c - ratingNumber), 0, true
		}
	}
	return 0, 0, false
}

// numeralOf reads "4", "4.5", "4,5" and "4/5". Numbers of more than three digits rate nothing.
func numeralOf(s string) (v, top float64, ok bool) {
	v, rest, ok := leading(s)
	if !ok || rest == "" {
		return v, 0, ok
	}
	if rest[0] != '/' {
		return 0, 0, false
	}
	top, rest, ok = leading(rest[1:])
	return v, top, ok && rest == ""
}

// leading reads the number at the head of s, with at most two decimal places, of which the first counts.
func leading(s string) (v float64, rest string, ok bool) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		v = float64(v*10) + float64(s[n]-'0')
		n++
	}
	if n == 0 || n > 3 {
		return 0, s, false
	}
	s = s[n:]
	if len(s) >= 2 && (s[0] == '.' || s[0] == ',') && s[1] >= '0' && s[1] <= '9' {
		v += float64(float64(s[1]-'0') / 10)
		if s = s[2:]; s != "" && s[0] >= '0' && s[0] <= '9' {
			s = s[1:]
		}
		return v, s, true
	}
	return v, s, true
}

// rating reads the rating that begins with the number at token i of a segment.
func (a *analysis) rating(first, i, last int32) (rate, int32) {
	v, top, ok := a.numeral(i)
	if !ok || a.before(ratingOff, first, i) {
		return 0, 0
	}
	if minus := a.minus(i); minus && top == 0 && v == 1 {
		return 0, 0 // a star taken off
	} else if minus {
		v = 0
	}
	end := i + 1
	if top == 0 {
		if star := a.star(end, last); star > 0 {
			if of, m := a.scale(ratingOf, star, last); of > 0 {
				return a.starred(of, last, onScale(v, 1, m))
			} else if of, m = a.scale(ratingOfAll, star, last); of > 0 {
				return a.starred(of, last, onScale(v, 1, m))
			}
			return a.starred(star, last, onScale(v, 1, 5))
		}
		var sure bool
		if end, top, sure = a.out(first, i, last); end == 0 || !sure && !a.alone(first, i, end, last) {
			return 0, 0
		}
	}
	if top != 5 && top != 10 && top != 100 {
		return 0, 0
	}
	low := 0.0
	if top == 5 {
		low = 1
	}
	if star := a.star(end, last); star > 0 {
		return a.starred(star, last, onScale(v, low, top))
	}
	switch {
	case a.before(ratingElse, first, i) || end < last && a.spells(ratingPart, end, last) > 0:
		return 0, 0
	case a.before(ratingSays, first, i) && v <= top:
	case v > top && len(a.tokens) > int(fewTokens+end-i), top == 100 && !a.alone(first, i, end, last): // a date or a count
		return 0, 0
	case i != first && end != last: // amid words
		return 0, 0
	}
	return onScale(v, low, top), end
}

// out reads what makes a rating of the number at token i: "/ 5", "out of 5", "of 5". sure: also amid other words.
func (a *analysis) out(first, i, last int32) (end int32, top float64, sure bool) {
	if j := i + 1; j < last && a.tokens[i].kind == numberToken && a.tokens[j].kind == numberToken && strings.TrimSpace(a.text[a.tokens[i].end:a.tokens[j].start]) == "/" {
		if m, inner, ok := a.numeral(j); ok && inner == 0 {
			return j + 1, m, true
		}
		return 0, 0, false
	}
	if end, top = a.scale(ratingOf, i+1, last); end > 0 {
		return end, top, end == last || a.before(ratingSays, first, i) || a.star(end, last) > 0
	}
	if end, top = a.scale(ratingOfAll, i+1, last); a.tokens[i].kind != numberToken && (end == 0 || a.star(end, last) == 0) {
		return 0, 0, false
	}
	return end, top, end > 0 && a.star(end, last) > 0
}

// alone says whether tokens [i, end) are all of their segment and most of the text.
func (a *analysis) alone(first, i, end, last int32) bool {
	return i == first && end == last && len(a.tokens) <= int(fewTokens+end-i)
}

// minus says whether a minus stands before token i.
func (a *analysis) minus(i int32) bool {
	at := int(a.tokens[i].start) - 1
	return at >= 0 && a.text[at] == '-' && (at == 0 || a.text[at-1] == ' ')
}

// star is where a word or a sign for stars at token i ends, 0: there is none.
func (a *analysis) star(i, last int32) int32 {
	if i < last && a.tokens[i].kind == symbolToken {
		if s := a.text[a.tokens[i].start:a.tokens[i].end]; s == fullStar || s == yellowStar {
			return i + 1
		}
	}
	return a.spells(ratingStar, i, last)
}

// scale reads "out of 5" at token i: where it ends, 0: it is none, and the highest number.
func (a *analysis) scale(kind, i, last int32) (end int32, top float64) {
	of := a.spells(kind, i, last)
	if of == 0 || of >= last {
		return 0, 0
	}
	m, inner, ok := a.numeral(of)
	if !ok || inner != 0 || m != 5 && m != 10 && m != 100 {
		return 0, 0
	}
	return of + 1, m
}

// starred returns the rating of stars that end before token end, unless what follows says that they are none.
func (a *analysis) starred(end, last int32, r rate) (rate, int32) {
	if end < last && (a.spells(ratingClass, end, last) > 0 || a.spells(ratingOff, end, last) > 0) {
		return 0, 0
	}
	return r, end
}

// before says whether a pattern of a kind ends where token i begins.
func (a *analysis) before(kind, first, i int32) bool {
	for k := max(first, i-maxBefore); k < i; k++ {
		if a.spells(kind, k, i) == i {
			return true
		}
	}
	return false
}

// starRow reads symbols in a row, ★★☆☆☆ or ⭐⭐⭐⭐⭐: five of them, the full ones first, are a rating.
func (a *analysis) starRow(i, last int32) (r rate, end int32) {
	full, empty, mixed := 0, 0, false
row:
	for end = i; end < last; end++ {
		switch a.text[a.tokens[end].start:a.tokens[end].end] {
		case fullStar, yellowStar:
			full++
			mixed = mixed || empty > 0
		case emptyStar:
			empty++
		default:
			break row
		}
	}
	if full+empty != 5 || mixed {
		return 0, end
	}
	return onScale(float64(full), 1, 5), end
}
