package train

import (
	"math"

	"github.com/earshot/earshot/processors/classify"
)

// softness is what the log odds of polarity are divided by, in the terms of [classify.Head].
type softness struct{ temperature, several, mixed float64 }

// stranger is one row as a model reads it that has not learned from it.
type stranger struct {
	z       [3]float64 // log odds
	label   int
	weight  float64
	several float64 // 1: more than one sentence
	mixed   float64 // [classify.Conflict]
}

// outside fits polarity once without each source and lets it read the rows of that source, the ones held back included: a
// user's texts are of a source of their own, and a model is surer of the sources that it knows. Only sources with rows of
// every class count, each alike however many rows it has: what was labelled for another question has no neutral rows, or
// nothing else. What m, fitted on all, makes of the rows held back counts as one more source. nil: fewer than two sources
// are left out.
func outside(c *classify.Classifier, m *linear, s *corpus, o Options, say Progress) []stranger {
	n := 0
	out := readBy(m, sentimentRows(c, s.dev))
	for _, source := range sources(s.train) {
		var own, others []Row
		for _, r := range s.train {
			if r.source == source {
				own = append(own, r)
			} else {
				others = append(others, r)
			}
		}
		for _, r := range s.dev {
			if r.source == source {
				own = append(own, r)
			}
		}
		seen := map[string]bool{}
		for _, r := range own {
			seen[r.Label] = true
		}
		if len(seen) < 3 || len(others) == 0 {
			continue
		}
		say("sentiment: without %s, for the temperature", source)
		n++
		out = append(out, readBy(fitSentiment(c, others, o), sentimentRows(c, own))...)
	}
	if n < 2 {
		return nil
	}
	return out
}

// readBy lets a model read rows, which weigh 1 together.
func readBy(m *linear, rows []row) []stranger {
	out := make([]stranger, len(rows))
	for i := range rows {
		r, x := &rows[i], &out[i]
		x.label, x.weight, x.mixed = r.label, 1/float64(len(rows)), classify.Conflict(r.dense)
		m.logits(x.z[:], r, &r.groups)
		if r.several {
			x.several = 1
		}
	}
	return out
}

// fitSoftness finds the softness with which the rows are likeliest: each of its numbers in turn by bisection of the slope,
// until they stand.
func fitSoftness(rows []stranger) softness {
	s := softness{temperature: 1}
	for range 50 {
		before := s
		s.temperature = bisect(0.3, 5, func(x float64) float64 {
			try := softness{x, s.several, s.mixed}
			return try.slope(rows, s.grown)
		})
		s.several = bisect(0, 3, func(x float64) float64 {
			try := softness{s.temperature, x, s.mixed}
			return try.slope(rows, func(r *stranger) float64 { return r.several })
		})
		s.mixed = bisect(0, 9, func(x float64) float64 {
			try := softness{s.temperature, s.several, x}
			return try.slope(rows, func(r *stranger) float64 { return r.mixed })
		})
		if math.Abs(s.temperature-before.temperature)+math.Abs(s.several-before.several)+math.Abs(s.mixed-before.mixed) < 1e-3 {
			break
		}
	}
	return s
}

// grown is how many times the temperature a row has.
func (s softness) grown(r *stranger) float64 { return 1 + s.several*r.several + s.mixed*r.mixed }

// bisect returns where the slope goes from rising to falling, or the end that it goes on to.
func bisect(lo, hi float64, slope func(float64) float64) float64 {
	if slope(lo) <= 0 {
		return lo
	}
	for range 25 {
		if mid := (lo + hi) / 2; slope(mid) > 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}

// slope is how fast the likelihood of the rows grows with one of the numbers, but for a factor above 0 that all rows share;
// part is how fast what a row's log odds are divided by grows with that number, but for the same factor.
func (s softness) slope(rows []stranger, part func(*stranger) float64) float64 {
	sum := 0.0
	for i := range rows {
		r := &rows[i]
		by := part(r)
		if by == 0 {
			continue
		}
		t := s.temperature * s.grown(r)
		p := r.z
		for k := range p {
			p[k] /= t
		}
		softmax(p[:])
		mean := 0.0
		for k := range p {
			mean += p[k] * r.z[k]
		}
		sum += r.weight * by * (mean - r.z[r.label]) / (t * t)
	}
	return sum
}
