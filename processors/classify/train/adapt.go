package train

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/earshot/earshot/processors/classify"
)

// Correction is one label that a person of the tenant corrected or confirmed.
type Correction struct {
	Text  string
	Lang  string
	Head  string // sentiment, intent, element, stage, junk or churn
	Class string
}

// headOf maps the names by which people call an axis to the head.
var headOf = map[string]string{"": "sentiment", "polarity": "sentiment", "sentiment": "sentiment", "intent": "intent", "element": "element",
	"stage": "stage", "facet": "stage", "quality": "junk", "junk": "junk", "churn": "churn"}

// classOf maps what people write to the classes of the heads.
var classOf = map[string]string{"very_negative": "negative", "very_positive": "positive", "suggestion": "request", "churn": "churn_notice",
	"ok": "ham"}

// ReadCorrections reads corrections, one JSON object a line: {"text":…,"axis":…,"new_value":…} as events carry them, or
// {"text":…,"label":…} for polarity. Corrections of labels that no head gives are counted in left.
func ReadCorrections(r io.Reader) (out []Correction, left int, err error) {
	d := json.NewDecoder(r)
	for n := 1; ; n++ {
		var c struct {
			Text, Lang, Axis, Label string
			Language                string
			NewValue                string `json:"new_value"`
		}
		switch err := d.Decode(&c); {
		case errors.Is(err, io.EOF):
			return out, left, nil
		case err != nil:
			return nil, 0, fmt.Errorf("correction %d: %w; each must be {\"text\":…,\"axis\":…,\"new_value\":…}", n, err)
		}
		x := Correction{Text: c.Text, Lang: c.Lang + c.Language, Head: headOf[strings.ToLower(c.Axis)], Class: strings.ToLower(c.NewValue + c.Label)}
		classes, ok := classesOf(x.Head)
		if to, is := classOf[x.Class]; is && !slices.Contains(classes, x.Class) {
			x.Class = to
		}
		if !ok || x.Text == "" || !slices.Contains(classes, x.Class) {
			left++
			continue
		}
		out = append(out, x)
	}
}

// Outcome is how one head took its corrections: scores are macro-F1 on corrections held back, each held back once.
type Outcome struct {
	Head     string     `json:"head"`
	N        int        `json:"n"`
	Before   float64    `json:"before"`
	After    float64    `json:"after"`
	Accuracy [2]float64 `json:"accuracy"` // before and after
	Surprise [2]float64 `json:"surprise"` // mean of −ln of the probability of the right class, before and after
	Taken    bool       `json:"taken"`    // the head was changed
	Reason   string     `json:"reason"`   // why not
}

// fewest is how many corrections of a head are needed to learn from; folds is into how many parts they are cut, each of
// which is held back once.
const fewest, folds = 20, 4

// Adapt learns from the corrections of one tenant with the classifier's weights as prior. Each head is tried on corrections
// held back and changed only if it got better there. The heads returned are new, nil if none was changed.
func Adapt(c *classify.Classifier, corrections []Correction, tenant, date string) (*classify.Heads, []Outcome) {
	h := c.Heads().Clone()
	h.Card = classify.Card{Name: "adapted-1", Date: date, Parent: c.Model(), Tenant: tenant}
	var all []Outcome
	changed := false
	for _, spec := range headClasses {
		mine := slices.DeleteFunc(slices.Clone(corrections), func(x Correction) bool { return x.Head != spec.name })
		if len(mine) == 0 {
			continue
		}
		// The order of arrival must not matter, and one text corrected twice must not be held back from itself.
		slices.SortFunc(mine, func(a, b Correction) int { return strings.Compare(key(a), key(b)) })
		mine = slices.CompactFunc(mine, func(a, b Correction) bool { return plainText(a.Text) == plainText(b.Text) })
		groups := [][]Correction{mine}
		if spec.name == "sentiment" {
			groups = byReader(c, mine)
		}
		for i, g := range groups {
			if len(g) == 0 {
				continue
			}
			o := adaptHead(c, h, spec.name, spec.classes, i, g)
			changed = changed || o.Taken
			all = append(all, o)
			h.Card.Scores = append(h.Card.Scores, classify.CardData{File: "corrections held back", Rows: o.N, Axis: o.Head, MacroF1: o.After, Acc: o.Accuracy[1]})
		}
	}
	if !changed {
		return nil, all
	}
	return h, all
}

func key(x Correction) string {
	sum := sha256.Sum256([]byte(plainText(x.Text)))
	return string(sum[:8]) + x.Class
}

// byReader parts corrections of polarity by how their language is read: English, Chinese, any other.
func byReader(c *classify.Classifier, all []Correction) [][]Correction {
	out := make([][]Correction, 3)
	for _, x := range all {
		f := c.Extract(classify.Input{Text: x.Text, Language: x.Lang})
		at := 0
		if !f.Learned {
			at = 1 + f.Plain
		}
		out[at] = append(out[at], x)
	}
	return out
}

// learner is a head as a model to fit: its weights as they are, and where they are kept.
type learner struct {
	head    classify.Head
	model   *linear
	read    func(id uint32, class int) int8
	write   func(id uint32, class int, w int8)
	extract func(x Correction) row
}

func newLearner(c *classify.Classifier, h *classify.Heads, name string, classes []string, reader int) *learner {
	l := &learner{}
	places := 1 << classify.TopicBits
	if name == "sentiment" {
		places = 1 << classify.SentimentBits
		l.head = h.Sentiment
		if reader > 0 {
			l.head = c.Plain(reader - 1)
		}
		l.read, l.write = h.SentimentWeight, h.SetSentimentWeight
		l.extract = func(x Correction) row {
			f := c.Extract(classify.Input{Text: x.Text, Language: x.Lang})
			return row{f.Dense, [2][]uint32{f.Words, f.Grams}, classAt(classes, x.Class), 1, f.Several}
		}
	} else {
		at := slices.IndexFunc(h.Topics, func(t classify.Head) bool { return t.Name == name })
		if at < 0 {
			return nil
		}
		l.head = h.Topics[at]
		l.read = func(id uint32, k int) int8 { return h.TopicWeight(id, l.head.At+k) }
		l.write = func(id uint32, k int, w int8) { h.SetTopicWeight(id, l.head.At+k, w) }
		l.extract = func(x Correction) row {
			f := c.Extract(classify.Input{Text: x.Text, Language: x.Lang})
			return row{dense: f.Rules, groups: [2][]uint32{f.Topics, nil}, label: classAt(classes, x.Class), weight: 1}
		}
	}
	n := len(classes)
	l.model = newLinear(n, len(l.head.Dense[0]), places)
	for k := range n {
		for i, w := range l.head.Dense[k] {
			l.model.dense[k][i] = float64(w) / unit / l.head.Temperature
		}
		for id := range places {
			l.model.table[id*n+k] = float32(float64(l.read(uint32(id), k)) * l.head.Scale / l.head.Temperature)
		}
	}
	return l
}

// adaptOptions are gentle: a few hundred corrections must not wash away what a hundred thousand rows taught.
func adaptOptions() Options {
	return Options{Epochs: 12, Rate: 0.06, Decay: 1e-3, Pull: 1e-3, Drop: 0.3, Seed: 7, Runs: 2}
}

func adaptHead(c *classify.Classifier, h *classify.Heads, name string, classes []string, reader int, mine []Correction) Outcome {
	o := Outcome{Head: name, N: len(mine)}
	if name == "sentiment" {
		o.Head = [3]string{"sentiment", "sentiment (Chinese)", "sentiment (other languages)"}[reader]
	}
	if len(mine) < fewest {
		o.Reason = fmt.Sprintf("%d corrections are too few to learn from; %d are needed", len(mine), fewest)
		return o
	}
	l := newLearner(c, h, name, classes, reader)
	if l == nil {
		o.Reason = "the model has no such head"
		return o
	}
	rows := make([]row, len(mine))
	for i, x := range mine {
		rows[i] = l.extract(x)
	}
	before, after := newScore(len(classes)), newScore(len(classes))
	temper := 0.0
	for f := range folds {
		var in, out []row
		for i, r := range rows {
			if i%folds == f {
				out = append(out, r)
			} else {
				in = append(in, r)
			}
		}
		m := l.model.clone()
		m.fit(in, adaptOptions())
		before.add(l.model, out)
		after.add(m, out)
		temper += math.Log(m.temperature(out)) / folds
	}
	o.Before, o.Accuracy[0] = before.f1()
	o.After, o.Accuracy[1] = after.f1()
	o.Surprise = [2]float64{before.surprise(), after.surprise()}
	if !o.better() {
		o.Reason = "no better on corrections held back"
		return o
	}
	o.Taken = true
	m := l.model
	m.fit(rows, adaptOptions())
	l.store(h, m, name, reader, max(1, math.Exp(temper)))
	return o
}

// slack is how much macro-F1 may fall where accuracy rises: with 300 corrections a rare class has some thirty rows, and
// its F1 moves by twice this much from draw to draw.
const slack = 0.03

// better says whether what was learned is worth taking: the right classes must be less of a surprise, and either macro-F1
// or, at nearly the same macro-F1, accuracy must have risen.
func (o *Outcome) better() bool {
	if o.Surprise[1] >= o.Surprise[0] {
		return false
	}
	return o.After > o.Before || o.Accuracy[1] > o.Accuracy[0] && o.After > o.Before-slack
}

// store puts the fitted weights into the heads. The scale of the table stays: it is shared by all that was learned before.
func (l *learner) store(h *classify.Heads, m *linear, name string, reader int, temperature float64) {
	scale := l.head.Scale
	head := l.head
	head.Dense = nil
	for _, w := range m.dense {
		d := make([]int32, len(w))
		for i, x := range w {
			d[i] = int32(math.Round(x * unit * l.head.Temperature))
		}
		head.Dense = append(head.Dense, d)
	}
	n := m.classes
	for id := range len(m.table) / n {
		for k := range n {
			w := step(float32(float64(m.table[id*n+k])*l.head.Temperature), scale, 1)
			if w != l.read(uint32(id), k) {
				l.write(uint32(id), k, w)
			}
		}
	}
	head.Temperature *= temperature
	switch {
	case name == "sentiment" && reader > 0:
		h.Plain[reader-1], h.Foreign = head, true
	case name == "sentiment":
		h.Sentiment = head
	default:
		h.Topics[slices.IndexFunc(h.Topics, func(t classify.Head) bool { return t.Name == name })] = head
	}
}

func (m *linear) clone() *linear {
	n := &linear{classes: m.classes, table: slices.Clone(m.table)}
	for _, w := range m.dense {
		n.dense = append(n.dense, slices.Clone(w))
	}
	return n
}

// score counts hits per class.
type score struct {
	hit, labelled, predicted []float64
	lost                     float64 // sum of −ln of the probability of the right class
}

func newScore(n int) *score {
	return &score{hit: make([]float64, n), labelled: make([]float64, n), predicted: make([]float64, n)}
}

// surprise is the mean of −ln of the probability of the right class.
func (s *score) surprise() float64 {
	n := 0.0
	for _, x := range s.labelled {
		n += x
	}
	return s.lost / n
}

func (s *score) add(m *linear, rows []row) {
	z := make([]float64, m.classes)
	for i := range rows {
		m.logits(z, &rows[i], &rows[i].groups)
		best := 0
		for k := range z {
			if z[k] > z[best] {
				best = k
			}
		}
		s.labelled[rows[i].label]++
		s.predicted[best]++
		if best == rows[i].label {
			s.hit[best]++
		}
		softmax(z)
		s.lost -= math.Log(max(z[rows[i].label], 1e-9))
	}
}

// f1 is the macro-F1 over the classes that occur, and the accuracy.
func (s *score) f1() (macro, accuracy float64) {
	n, hits, rows := 0.0, 0.0, 0.0
	for k := range s.hit {
		if s.labelled[k] > 0 {
			n++
			macro += 2 * s.hit[k] / (s.labelled[k] + s.predicted[k])
		}
		hits += s.hit[k]
		rows += s.labelled[k]
	}
	return macro / n, hits / rows
}
