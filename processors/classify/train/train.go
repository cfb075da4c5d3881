package train

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/earshot/earshot/processors/classify"
)

// headClasses are the heads that can be learned, polarity first.
var headClasses = classify.KnownHeads()

func classesOf(head string) ([]string, bool) {
	for _, h := range headClasses {
		if h.Name == head {
			return h.Classes, true
		}
	}
	return nil, false
}

// corpus is the rows of one head.
type corpus struct{ train, dev []Row }

func (c *corpus) oneClass() bool {
	return !slices.ContainsFunc(c.train, func(r Row) bool { return r.Label != c.train[0].Label })
}

// Progress is told in a few words what the training is at.
type Progress func(format string, args ...any)

// Train fits every head that the plan has rows for and returns new weights with their card. Heads that the plan has no rows
// for are kept from the classifier. open opens a file of the plan.
func Train(c *classify.Classifier, plan []Source, open func(name string) (io.ReadCloser, error), o Options, date string, say Progress) (*classify.Heads, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	corpora, data, err := gather(plan, open)
	if err != nil {
		return nil, err
	}
	for _, spec := range headClasses {
		s := corpora[spec.Name]
		switch {
		case s == nil:
		case len(s.train) == 0:
			return nil, fmt.Errorf("train: no row of %s is left to learn from: name a file with use train in the plan that holds other texts than those held back", spec.Name)
		case s.oneClass():
			return nil, fmt.Errorf("train: all %d rows of %s that are left to learn from are %q: a head tells classes apart, so add rows of others", len(s.train), spec.Name, s.train[0].Label)
		case len(s.dev) == 0:
			say("%s: no rows are held back (use dev in the plan), so its probabilities stay as they are fitted and nothing measures it", spec.Name)
		}
	}
	h := c.Heads().Clone()
	h.Card = classify.Card{Name: "linear-1", Date: date, Sources: data,
		Options: fmt.Sprintf("epochs %d, rate %g, decay %g, drop %g, balance %g, seed %d", o.Epochs, o.Rate, o.Decay, o.Drop, o.Balance, o.Seed)}
	if s := corpora["sentiment"]; s != nil {
		say("sentiment: %d rows, %d held back", len(s.train), len(s.dev))
		trainSentiment(c, h, s, o, say)
	}
	if h.Sentiment.Classes == nil {
		return nil, errors.New("train: the plan has no rows of sentiment, and there is no model to keep it from")
	}
	// The topic heads read the probabilities of polarity, so they are fitted on top of the new weights.
	c = c.With(h)
	for _, spec := range headClasses[1:] {
		t := corpora[spec.Name]
		if t == nil {
			continue
		}
		say("%s: %d rows, %d held back", spec.Name, len(t.train), len(t.dev))
		trainTopic(c, h, spec, t, topicOptions(o))
	}
	if h.Card.Scores, err = measure(c.With(h), plan, open); err != nil {
		return nil, err
	}
	return h, nil
}

// topicOptions pulls the learned words of the topic heads harder towards nothing than those of polarity: their rows come
// from few sources, and what is usual in one trade must not decide in another.
func topicOptions(o Options) Options {
	o.Epochs, o.Runs, o.Decay, o.Pull, o.Drop, o.Balance = 4, 1, o.TopicDecay, o.TopicPull, 0.6, 0.3
	return o
}

// gather reads the files of the plan, maps their labels, and drops rows of training whose text is also held back.
func gather(plan []Source, open func(string) (io.ReadCloser, error)) (map[string]*corpus, []classify.CardData, error) {
	out := map[string]*corpus{}
	var data []classify.CardData
	held := map[string]bool{}
	for i := range plan {
		s := &plan[i]
		f, err := open(s.File)
		if err != nil {
			return nil, nil, fmt.Errorf("open %s: %w", s.File, err)
		}
		rows, sum, err := ReadRows(f)
		f.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", s.File, err)
		}
		if s.Use == "test" {
			data = append(data, classify.CardData{File: s.File, Rows: len(rows), SHA256: sum, Licence: s.Licence, Axis: s.Head + " test"})
			continue
		}
		if s.Use == "hold" {
			for _, r := range rows {
				held[plainText(r.Text)] = true
			}
			data = append(data, classify.CardData{File: s.File, Rows: len(rows), SHA256: sum, Licence: s.Licence, Axis: "held back"})
			continue
		}
		t := out[s.Head]
		if t == nil {
			t = &corpus{}
			out[s.Head] = t
		}
		classes, _ := classesOf(s.Head)
		n := 0
		var short []Row // to be joined
		origin, _, _ := strings.Cut(s.Origin, ",")
		for _, r := range rows {
			class, ok := s.class(r.Label)
			if !ok || r.Text == "" {
				continue
			}
			if !slices.Contains(classes, class) {
				return nil, nil, fmt.Errorf("%s, line %d: label %q is no class of %s, which are %s; map it in the plan, or leave it out", s.File, r.line, class, s.Head, strings.Join(classes, ", "))
			}
			r.Label, r.Weight, r.source = class, s.Weight, origin
			n++
			if s.Use == "join" {
				short = append(short, r)
				continue
			}
			if s.Use == "dev" {
				t.dev = append(t.dev, r)
			} else {
				t.train = append(t.train, r)
			}
		}
		t.train = append(t.train, join(short)...)
		data = append(data, classify.CardData{File: s.File, Rows: n, SHA256: sum, Licence: s.Licence, Axis: s.Head + " " + s.Use, Weight: s.Weight})
	}
	for _, t := range out {
		own := map[string]bool{}
		for _, r := range t.dev {
			own[plainText(r.Text)] = true
		}
		t.train = slices.DeleteFunc(t.train, func(r Row) bool { p := plainText(r.Text); return own[p] || held[p] })
		t.dev = slices.DeleteFunc(t.dev, func(r Row) bool { return held[plainText(r.Text)] })
	}
	return out, data, nil
}

func classAt(classes []string, label string) int { return slices.Index(classes, label) }

func sentimentRows(c *classify.Classifier, rows []Row) []row {
	classes := headClasses[0].Classes
	var out []row
	for _, r := range rows {
		f := c.Extract(classify.Input{Text: r.Text, Language: r.Lang})
		if !f.Learned && c.Heads().Sentiment.Classes == nil {
			continue
		}
		out = append(out, row{f.Dense, [2][]uint32{f.Words, f.Grams}, classAt(classes, r.Label), r.Weight, f.Several})
	}
	return out
}

func fitSentiment(c *classify.Classifier, train []Row, o Options) *linear {
	rows := sentimentRows(c, train)
	balance(rows, 3, o.Balance)
	m := newLinear(3, len(rows[0].dense), 1<<classify.SentimentBits)
	m.fit(rows, o)
	return m
}

func trainSentiment(c *classify.Classifier, h *classify.Heads, s *corpus, o Options, say Progress) {
	m := fitSentiment(c, s.train, o)
	h.Sentiment = m.head("sentiment", headClasses[0].Classes, 0, 6e-3)
	q := h.Sentiment.Scale
	for i := range 1 << classify.SentimentBits {
		for k := range 3 {
			w := step(m.table[i*3+k], q, 2)
			h.SetSentimentWeight(uint32(i), k, w)
			m.table[i*3+k] = float32(float64(w) * q)
		}
	}
	soft := softness{temperature: m.temperature(sentimentRows(c, s.dev))}
	if out := outside(c, m, s, o, say); out != nil {
		soft = fitSoftness(out)
	}
	h.Sentiment.Temperature, h.Sentiment.Several, h.Sentiment.Mixed = soft.temperature, soft.several, soft.mixed
}

func topicRows(c *classify.Classifier, classes []string, rows []Row) []row {
	var out []row
	for _, r := range rows {
		f := c.Extract(classify.Input{Text: r.Text, Language: r.Lang})
		out = append(out, row{dense: f.Rules, groups: [2][]uint32{f.Topics, nil}, label: classAt(classes, r.Label), weight: r.Weight})
	}
	return out
}

func trainTopic(c *classify.Classifier, h *classify.Heads, spec classify.Head, t *corpus, o Options) {
	name, classes, at := spec.Name, spec.Classes, spec.At
	rows := topicRows(c, classes, t.train)
	balance(rows, len(classes), o.Balance)
	n := len(classes)
	m := newLinear(n, len(rows[0].dense), 1<<classify.TopicBits)
	if prior := classify.RulePrior(name, classes); prior != nil {
		m.dense = prior
	}
	m.fit(rows, o)
	head := m.head(name, classes, at, 1e-2)
	for i := range 1 << classify.TopicBits {
		for k := range n {
			w := step(m.table[i*n+k], head.Scale, 2)
			h.SetTopicWeight(uint32(i), at+k, w)
			m.table[i*n+k] = float32(float64(w) * head.Scale)
		}
	}
	if dev := topicRows(c, classes, t.dev); len(dev) > 0 {
		head.Temperature = m.temperature(dev)
	}
	h.Topics = slices.DeleteFunc(h.Topics, func(x classify.Head) bool { return x.Name == name })
	h.Topics = append(h.Topics, head)
}

// step is a weight in 8 bits; what is within least steps of zero weighs nothing and packs well.
func step(w float32, scale float64, least float64) int8 {
	q := math.Round(float64(w) / scale)
	if math.Abs(q) < least {
		return 0
	}
	return int8(max(-127, min(127, q)))
}

// head puts the dense weights into fixed point. The scale of the learned ones is as fine as the largest of them allows,
// and not finer than given.
func (m *linear) head(name string, classes []string, at int, finest float64) classify.Head {
	h := classify.Head{Name: name, Classes: slices.Clone(classes), At: at, Temperature: 1}
	for _, w := range m.dense {
		d := make([]int32, len(w))
		for i, x := range w {
			d[i] = int32(math.Round(x * unit))
			w[i] = float64(d[i]) / unit
		}
		h.Dense = append(h.Dense, d)
	}
	var big []float32
	for _, w := range m.table {
		if w != 0 {
			big = append(big, max(w, -w))
		}
	}
	slices.Sort(big)
	top := 0.0
	if len(big) > 0 {
		top = float64(big[len(big)*9995/10000])
	}
	h.Scale = max(finest, top/127)
	return h
}
