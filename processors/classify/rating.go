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
	ratingStar = iota
	ratingOf
	ratingClass
	ratingOff
	ratingElse
	ratingNumber
)

const (
	mostNumber = 10 // in words
	maxBefore  = 3  // tokens before a rating that may say that it is none
)

// star symbols
const (
	fullStar   = "★"
	emptyStar  = "☆"
	yellowStar = "⭐"
)

func (l *loader) loadRatings() {
	kinds := map[string]int32{"star": ratingStar, "of": ratingOf, "class": ratingClass, "off": ratingOff, "else": ratingElse, "number": ratingNumber}
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
			l.fault(r, "unknown kind %q, want weigh, number, star, of, class, off or else, or a pattern with a gap", r.cells[0])
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
		case t.kind == numberToken:
			r, end = a.rating(first, i, last)
		case t.kind == symbolToken:
			r, end = a.starRow(i, last)
		case t.rates:
			r, end = a.rating(first, i, last)
		}
		if r != 0 {
			a.tokens[i].rate, a.tokens[i].rateEnd = r, end
			a.rated = true
		}
		i = max(i, end-1)
	}
}

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

// leading reads the number at the head of s, with at most one decimal place.
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
		return v + float64(float64(s[1]-'0')/10), s[2:], true
	}
	return v, s, true
}

// rating reads the rating that begins with the number at token i of a segment.
func (a *analysis) rating(first, i, last int32) (rate, int32) {
	v, top, ok := a.numeral(i)
	if !ok {
		return 0, 0
	}
	end := i + 1
	if top == 0 {
		if star := a.spells(ratingStar, end, last); star > 0 {
			end = star
			if of, m := a.scale(end, last); of > 0 {
				return a.between(first, i, last, onScale(v, 1, m), of)
			}
			return a.between(first, i, last, onScale(v, 1, 5), end)
		}
		of, m := a.scale(end, last)
		if of == 0 {
			return 0, 0
		}
		end, top = of, m
	} else if a.spells(ratingOf, end, last) > 0 { // "1/5 of the customers" is a part
		return 0, 0
	}
	if star := a.spells(ratingStar, end, last); star > 0 {
		end = star
	}
	switch {
	case top != 5 && top != 10 && top != 100 || v > 10*top:
		return 0, 0
	case a.before(ratingElse, first, i):
		return 0, 0
	case top == 5:
		return a.between(first, i, last, onScale(v, 1, top), end)
	}
	return a.between(first, i, last, onScale(v, 0, top), end)
}

// scale reads "out of 5" at token i: where it ends, 0: it is none, and the highest number.
func (a *analysis) scale(i, last int32) (end int32, top float64) {
	of := a.spells(ratingOf, i, last)
	if of == 0 || of >= last {
		return 0, 0
	}
	m, inner, ok := a.numeral(of)
	if !ok || inner != 0 || m != 5 && m != 10 && m != 100 {
		return 0, 0
	}
	return of + 1, m
}

// between returns the rating of tokens [i, end) unless what stands around it says that it is none.
func (a *analysis) between(first, i, last int32, r rate, end int32) (rate, int32) {
	if end < last && (a.spells(ratingClass, end, last) > 0 || a.spells(ratingOff, end, last) > 0) {
		return 0, 0
	}
	if a.before(ratingOff, first, i) {
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
