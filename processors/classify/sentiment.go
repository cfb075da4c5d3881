package classify

import "math"

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

// squash brings a sum to −1 … 1; a is the square of the sum that gives 0.7.
func squash(x, a float32) float32 { return x / float32(math.Sqrt(float64(x*x+a))) }

// vector is the dense features of one text or clause with the sum of its learned words.
type vector struct {
	dense [denseCount]float32
	words [3]float32 // scaled by 1/√count
}

// document gathers the features of the whole text.
func (a *analysis) document() (v vector) {
	set := &a.c.setting
	var pos, neg, cue, emoji, last float32
	var negations, cond, words, questions int32
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
		pos, neg, cue, emoji = pos+w*c.pos, neg+w*c.neg, cue+w*c.cue, emoji+c.emoji
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
		for k := range 3 {
			v.words[k] += c.words[k]
		}
		words += c.wordCount
	}
	v.fill(a, pos, neg, last, cue, emoji, negations, cond, questions, caps, words)
	v.dense[denseExclaim] = float32(min(a.exclaims, 4)) / 4
	v.dense[denseExclaimSign] = v.dense[denseExclaim] * v.dense[denseCompound]
	v.dense[denseLength] = float32(math.Log1p(float64(len(a.tokens)))) / 5
	if a.count[senseRequest] > 0 {
		v.dense[denseRequest] = 1
	}
	if a.count[senseThanks] > 0 {
		v.dense[denseThanks] = 1
	}
	for i := range a.tokens {
		if a.tokens[i].kind == linkToken {
			v.dense[denseLink] = 1
			break
		}
	}
	return v
}

func (v *vector) fill(a *analysis, pos, neg, last, cue, emoji float32, negations, cond, questions int32, caps bool, words int32) {
	d := &v.dense
	d[denseBias] = 1
	d[denseCompound] = squash(pos+neg, 15)
	d[densePositive] = squash(pos, 15)
	d[denseNegative] = squash(neg, 15)
	d[denseLast] = squash(last, 15)
	d[denseCue] = squash(cue, 1)
	d[denseEmoji] = squash(emoji, 8)
	d[denseNegation] = float32(min(negations, 3)) / 3
	if cond > 0 {
		d[denseCondition] = 1
	}
	if questions > 0 {
		d[denseQuestion] = 1
	}
	if caps {
		d[denseCaps] = 1
	}
	if pos == 0 && neg == 0 && cue == 0 {
		d[denseSilent] = 1
	}
	d[denseLength] = float32(math.Log1p(float64(len(a.tokens)))) / 5
	if words > 0 {
		scale := 1 / float32(math.Sqrt(float64(words)))
		for k := range 3 {
			v.words[k] *= scale
		}
	}
}

// of gathers the features of one clause.
func (a *analysis) of(c *clause) (v vector) {
	v.words = c.words
	var cond, q int32
	if c.cond {
		cond = 1
	}
	if c.mark == '?' {
		q = 1
	}
	v.fill(a, c.pos, c.neg, c.valence(), c.cue, c.emoji, c.negations, cond, q, c.caps, c.wordCount)
	v.dense[denseLength] = float32(math.Log1p(float64(c.last-c.first))) / 5
	return v
}

// probabilities maps features to the probabilities of negative, neutral and positive.
func (c *Classifier) probabilities(v *vector, han bool) [3]float64 {
	set := 0
	var z [3]float64
	if han {
		set = 1
	} else {
		for k := range 3 {
			z[k] = float64(v.words[k])
		}
	}
	w := &c.dense[set]
	for i := range denseCount {
		if x := v.dense[i]; x != 0 {
			for k := range 3 {
				z[k] += float64(x * w[i][k])
			}
		}
	}
	return softmax(z)
}

func softmax(z [3]float64) [3]float64 {
	m := max(z[0], z[1], z[2])
	var sum float64
	for k := range 3 {
		z[k] = math.Exp(z[k] - m)
		sum += z[k]
	}
	for k := range 3 {
		z[k] /= sum
	}
	return z
}
