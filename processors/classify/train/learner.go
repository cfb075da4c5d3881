package train

import (
	"math"
	"slices"

	"github.com/earshot/earshot/processors/classify"
)

// learner is a head as a model to fit: its weights as they are, and where they are kept.
type learner struct {
	spec  classify.Head
	head  classify.Head
	model *linear
}

// newLearner takes a head from a classifier, for polarity as a reader of [byReader] knows it; nil: there is none.
func newLearner(c *classify.Classifier, spec classify.Head, reader int) *learner {
	h := c.Heads()
	l := &learner{spec: spec, head: h.Sentiment}
	places := 1 << classify.SentimentBits
	switch {
	case l.topic():
		at := topicAt(h, spec.Name)
		if at < 0 {
			return nil
		}
		l.head, places = h.Topics[at], 1<<classify.TopicBits
	case reader > 0:
		l.head = c.Plain(reader - 1)
	}
	n := len(spec.Classes)
	l.model = newLinear(n, len(l.head.Dense[0]), places)
	for k := range n {
		for i, w := range l.head.Dense[k] {
			l.model.dense[k][i] = float64(w) / unit / l.head.Temperature
		}
		for id := range places {
			l.model.table[id*n+k] = float32(float64(l.weight(h, id, k)) * l.head.Scale / l.head.Temperature)
		}
	}
	return l
}

func (l *learner) topic() bool { return l.spec.Name != "sentiment" }

func topicAt(h *classify.Heads, name string) int {
	return slices.IndexFunc(h.Topics, func(t classify.Head) bool { return t.Name == name })
}

func (l *learner) weight(h *classify.Heads, id, class int) int8 {
	if l.topic() {
		return h.TopicWeight(uint32(id), l.spec.At+class)
	}
	return h.SentimentWeight(uint32(id), class)
}

func (l *learner) setWeight(h *classify.Heads, id, class int, w int8) {
	if l.topic() {
		h.SetTopicWeight(uint32(id), l.spec.At+class, w)
		return
	}
	h.SetSentimentWeight(uint32(id), class, w)
}

// rows are corrections as the head of a classifier sees them.
func (l *learner) rows(c *classify.Classifier, mine []Correction) []row {
	out := make([]row, len(mine))
	for i, x := range mine {
		f := c.Extract(classify.Input{Text: x.Text, Language: x.Lang})
		out[i] = row{dense: f.Dense, groups: [2][]uint32{f.Words, f.Grams}, weight: 1, several: f.Several}
		if l.topic() {
			out[i] = row{dense: f.Rules, groups: [2][]uint32{f.Topics, nil}, weight: 1}
		}
		out[i].label = classAt(l.spec.Classes, x.Class)
	}
	return out
}

// store puts the fitted weights into heads. Of the table of polarity a head writes its own part; Chinese and other languages
// share theirs, so they write what they have changed. Its scale stays: it is shared by all that was learned before.
func (l *learner) store(h *classify.Heads, prior *classify.Heads, reader int, temperature float64) {
	head := l.head
	head.Dense = nil
	for _, w := range l.model.dense {
		d := make([]int32, len(w))
		for i, x := range w {
			d[i] = int32(math.Round(x * unit * l.head.Temperature))
		}
		head.Dense = append(head.Dense, d)
	}
	if !l.topic() {
		head.Scale = h.Sentiment.Scale
	}
	n := l.model.classes
	for id := range len(l.model.table) / n {
		own := l.topic() || reader == 0 && id < classify.EnglishPlaces
		for k := range n {
			w := float64(l.model.table[id*n+k]) * l.head.Temperature
			if own || step(float32(w), l.head.Scale, 1) != l.weight(prior, id, k) {
				l.setWeight(h, id, k, step(float32(w), head.Scale, 1))
			}
		}
	}
	head.Temperature = max(0.01, min(100, head.Temperature*temperature))
	switch {
	case l.topic():
		if at := topicAt(h, head.Name); at >= 0 {
			h.Topics[at] = head
		} else {
			h.Topics = append(h.Topics, head)
		}
	case reader > 0:
		h.Plain[reader-1], h.Foreign = head, true
	default:
		h.Sentiment = head
	}
}

func (m *linear) clone() *linear {
	n := &linear{classes: m.classes, table: slices.Clone(m.table)}
	for _, w := range m.dense {
		n.dense = append(n.dense, slices.Clone(w))
	}
	return n
}

// answer is what a model says of a row: log odds, and the right class.
type answer struct {
	z      []float64
	label  int
	weight float64
}

func (m *linear) answer(r *row) answer {
	a := answer{make([]float64, m.classes), r.label, r.weight}
	m.logits(a.z, r, &r.groups)
	return a
}

// best is the likeliest class.
func (a answer) best() int {
	best := 0
	for k := range a.z {
		if a.z[k] > a.z[best] {
			best = k
		}
	}
	return best
}

// softened divides the log odds by what the head's temperature grows by for the row.
func (a answer) softened(h *classify.Head, r *row) answer {
	by := 1.0
	if r.several {
		by += h.Several
	}
	if h.Mixed > 0 {
		by += h.Mixed * classify.Conflict(r.dense)
	}
	for k := range a.z {
		a.z[k] /= by
	}
	return a
}
