package classify

import (
	"math"
	"math/bits"

	"github.com/earshot/earshot/schemas"
)

// The dense features of a text or a clause. Each lies within about −1 … 1.
const (
	denseBias = iota
	denseCompound
	densePositive
	denseNegative
	denseLast
	denseCue
	denseExclaim
	denseExclaimSign
	denseQuestion
	denseEmoji
	denseCondition
	denseNegation
	denseCaps
	denseSilent
	denseLength
	denseRequest
	denseLink
	denseThanks
	denseCount
)

var denseNames = [denseCount]string{"bias", "compound", "positive", "negative", "last", "cue", "exclaim", "exclaim-sign",
	"question", "emoji", "condition", "negation", "caps", "silent", "length", "request", "link", "thanks"}

// denialTokens is the longest clause that counts as a denial and nothing else.
const denialTokens = 6

// squash brings a sum to −1 … 1; a is the square of the sum that gives 0.7.
func squash(x, a float32) float32 { return x / float32(math.Sqrt(float64(float32(x*x)+a))) }

// vector is the features of one text or clause: the dense ones in fixed point, the learned ones as sums of weights.
type vector struct {
	dense                [denseCount]int32
	words, grams         [3]int32
	wordCount, gramCount int32
	several              bool // more than one sentence
	plain                int  // −1, 1: the text says nothing but something bad, or good, in so many words
}

// document gathers the features of the whole text. Products are rounded before they are added, because a processor that
// adds a product without rounding it would give another sum.
func (a *analysis) document() (v vector) {
	set := &a.c.setting
	var pos, neg, cue, emoji, last float32
	var negations, cond, questions int32
	caps := false
	for i := range a.clauses {
		c := &a.clauses[i]
		w := float32(1)
		if c.concede {
			w = set.ConcedeWeight
		}
		if i+1 < len(a.clauses) && a.clauses[i+1].contrast && a.clauses[i+1].sentence-c.sentence <= 1 {
			w *= set.BeforeBut
		}
		if c.contrast {
			w *= set.AfterBut
		}
		pos += float32(w * c.pos)
		neg += float32(w * c.neg)
		cue += float32(w * c.cue)
		emoji += c.emoji
		negations += c.negations
		if c.cond {
			cond++
		}
		if c.mark == '?' {
			questions++
		}
		caps = caps || c.caps
		if c.pos != 0 || c.neg != 0 {
			last = c.valence()
		}
		v.add(c)
	}
	v.fill(pos, neg, last, cue, emoji, negations, cond, questions, caps)
	if n := len(a.clauses); n > 0 {
		v.several = a.clauses[n-1].sentence != a.clauses[0].sentence
	}
	d := &v.dense
	d[denseExclaim] = int32(min(a.exclaims, 4)) * unit / 4
	d[denseExclaimSign] = int32(int64(d[denseExclaim]) * int64(d[denseCompound]) / unit)
	d[denseLength] = lengthOf(len(a.tokens))
	d[denseRequest] = boolUnit(a.count[senseRequest] > 0)
	d[denseThanks] = boolUnit(a.count[senseThanks] > 0)
	for i := range a.tokens {
		if a.tokens[i].kind == linkToken {
			d[denseLink] = unit
			break
		}
	}
	return v
}

// plainly says whether a text speaks of things only badly (−1), or only well (1), in words that say so by themselves: "Nobody
// answered for three days." Such texts are too few among the rows that were learned from for their words to weigh what they
// say. The shorter the text, the less else it can mean.
func (a *analysis) plainly(v *vector, ms []schemas.Mention) int {
	set := &a.c.setting
	if a.region != english || v.dense[denseCondition] != 0 || a.questions > 0 ||
		a.total[senseQuestion] >= 0.9 || a.total[senseWish] >= 0.5 || a.count[senseRequest] > 0 {
		return 0
	}
	var best, worst float32
	for i := range ms {
		if m := &ms[i]; m.Confidence >= set.ConfidencePair {
			best, worst = max(best, m.Polarity), min(worst, m.Polarity)
		}
	}
	switch {
	case worst <= -set.PlainFrom && best == 0 && v.dense[densePositive] == 0:
		return -1
	case best >= set.PlainFrom && worst == 0 && v.dense[denseNegative] == 0:
		return 1
	}
	return 0
}

// add adds the learned words of a clause. A denial of something bad ("not rude") is left to the rules: each of its words
// says the opposite of the whole. "Don't waste your money" denies nothing.
func (v *vector) add(c *clause) {
	if c.negations > 0 && c.pos > 0 && c.neg == 0 && !c.order && c.last-c.first <= denialTokens {
		return
	}
	for k := range 3 {
		v.words[k] += c.words[k]
		v.grams[k] += c.grams[k]
	}
	v.wordCount += c.wordCount
	v.gramCount += c.gramCount
}

// lengthOf is the number of binary digits of n in tenths: a logarithm without a machine's rounding.
func lengthOf(n int) int32 { return int32(min(bits.Len(uint(n)), 20)) * unit / 10 }

func (v *vector) fill(pos, neg, last, cue, emoji float32, negations, cond, questions int32, caps bool) {
	d := &v.dense
	d[denseBias] = unit
	d[denseCompound] = fixed(squash(pos+neg, 15))
	d[densePositive] = fixed(squash(pos, 15))
	d[denseNegative] = fixed(squash(neg, 15))
	d[denseLast] = fixed(squash(last, 15))
	d[denseCue] = fixed(squash(cue, 1))
	d[denseEmoji] = fixed(squash(emoji, 8))
	d[denseNegation] = min(negations, 3) * unit / 3
	d[denseCondition] = boolUnit(cond > 0)
	d[denseQuestion] = boolUnit(questions > 0)
	d[denseCaps] = boolUnit(caps)
	d[denseSilent] = boolUnit(pos == 0 && neg == 0 && cue == 0)
}

// of gathers the features of one clause.
func (a *analysis) of(c *clause) (v vector) {
	v.add(c)
	var cond, q int32
	if c.cond {
		cond = 1
	}
	if c.mark == '?' {
		q = 1
	}
	v.fill(c.pos, c.neg, c.valence(), c.cue, c.emoji, c.negations, cond, q, c.caps)
	v.dense[denseLength] = lengthOf(int(c.last - c.first))
	return v
}

// probabilities maps features to the probabilities of negative, neutral and positive.
func (a *analysis) probabilities(v *vector) [3]float64 {
	head := &a.heads.Sentiment
	if a.region != english {
		head = &a.c.plain[a.plain()]
	}
	var z [maxClasses]float64
	var on active
	on.find(v.dense[:])
	soft := head.softness(v.several, v.dense[:])
	head.logits(&z, soft, v.dense[:], &on, weighted{v.words[:], v.wordCount}, weighted{v.grams[:], v.gramCount})
	if v.plain != 0 && len(head.Classes) > 0 { // else there are rules only: training starts from these
		odds := min(float64(a.c.setting.PlainOdds)/float64(len(a.tokens)), float64(a.c.setting.PlainMost))
		z[1+v.plain] += float64(odds * head.Temperature / soft)
	}
	softmax(z[:3])
	return [3]float64(z[:3])
}

// plain returns which of the models without learned words reads the language: Chinese, or any other.
func (a *analysis) plain() int {
	if a.table == a.c.table {
		return 0
	}
	return 1
}

// softmax turns log odds into probabilities in place.
func softmax(z []float64) {
	m := z[0]
	for _, x := range z {
		m = max(m, x)
	}
	var sum float64
	for k := range z {
		z[k] = exp(z[k] - m)
		sum += z[k]
	}
	for k := range z {
		z[k] /= sum
	}
}

// reciprocals are those of 6 down to 1: a product takes less time than a quotient.
var reciprocals = [...]float64{1. / 6, 1. / 5, 1. / 4, 1. / 3, 1. / 2, 1}

// lowest is the number below which exp is 0.
const lowest = -40

// eighths are e to the power of −n/8, each by one product from the one before.
var eighths = func() (t [-8*lowest + 1]float64) {
	const inverse = 0.88249690258459540286489214322905 // of the eighth root of e
	t[0] = 1
	for n := range len(t) - 1 {
		t[n+1] = t[n] * inverse
	}
	return t
}()

// exp is e to the power of x ≤ 0. The library's has another last digit on another processor; here every product is
// rounded before it is added. The relative error is below 1e-9.
func exp(x float64) float64 {
	if x < lowest {
		return 0
	}
	n := int(-8 * x)
	f := x + float64(float64(n)*0.125) // −1/8 … 0
	sum := 1.0
	for _, r := range reciprocals { // Horner's scheme of the series
		sum = 1 + float64(float64(f*sum)*r)
	}
	return float64(sum * eighths[n])
}
