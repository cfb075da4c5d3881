package classify

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
)

// Head is one question that a linear model answers about a text.
type Head struct {
	Name    string    `json:"name"`
	Classes []string  `json:"classes"`
	At      int       `json:"at"`    // first column in the topic table
	Scale   float64   `json:"scale"` // log odds of one step of an 8-bit weight
	Dense   [][]int32 `json:"dense"` // [class][feature], in 1/[denseUnit]
	// Temperature divides the log odds, so that probabilities are as often right as they say; fitted on rows held back.
	Temperature float64 `json:"temperature"`
	// Several and Mixed are what the temperature grows by, as parts of itself, for a text of more than one sentence, and for
	// one whose words are good and bad in equal measure: it is less often what the sum of its words says. Of polarity only;
	// fitted on sources that were left out of the training.
	Several float64 `json:"several,omitempty"`
	Mixed   float64 `json:"mixed,omitempty"`
}

// denseUnit is the fixed-point unit of the weights of dense features.
const denseUnit = 1 << 12

// Heads are all learned weights: one table that polarity reads, one that the other heads share. Scores are sums of 8-bit
// integers, so a text has the same labels on every machine.
type Heads struct {
	Sentiment Head   `json:"sentiment"`
	Topics    []Head `json:"topics"`
	Foreign   bool   `json:"foreign,omitempty"` // holds weights of words that are not English
	// Plain replaces, where it has classes, how Chinese and other languages without learned words are read: an adapted
	// model has learned some.
	Plain [2]Head `json:"plain"`
	Card  Card    `json:"card"`
	// Learned are, by head, digests of the corrections that an adapted model learned from: a successor is compared with it
	// on others.
	Learned map[string][]uint32 `json:"learned,omitempty"`

	sentiment [][4]int8
	topics    []topicRow
	hash      string
}

// Card says what a model is made of and how good it is: the model card.
type Card struct {
	Name    string     `json:"name"`              // such as "linear-1"
	Date    string     `json:"date"`              // day of the training, 2006-01-02
	Parent  string     `json:"parent,omitempty"`  // model it was adapted from
	Tenant  string     `json:"tenant,omitempty"`  // whose corrections it was adapted with
	Sources []CardData `json:"sources"`           // what it learned from
	Scores  []CardData `json:"scores"`            // what it was measured on
	Options string     `json:"options,omitempty"` // of the training
}

// CardData is one file of labelled rows in a [Card].
type CardData struct {
	File    string  `json:"file"`
	Rows    int     `json:"rows"`
	SHA256  string  `json:"sha256,omitempty"`  // first 16 hex digits
	Licence string  `json:"licence,omitempty"` // as its owner states it
	Axis    string  `json:"axis,omitempty"`
	Weight  float64 `json:"weight,omitempty"`
	MacroF1 float64 `json:"macro_f1,omitempty"`
	Acc     float64 `json:"accuracy,omitempty"`
	ECE     float64 `json:"ece,omitempty"`
}

// NewHeads returns heads without weights.
func NewHeads() *Heads {
	h := &Heads{sentiment: make([][4]int8, 1<<SentimentBits), topics: make([]topicRow, 1<<TopicBits)}
	for i := range h.topics {
		h.topics[i] = topicRow{zeroWeights, zeroWeights, zeroWeights}
	}
	return h
}

// Clone returns a copy that may be changed.
func (h *Heads) Clone() *Heads {
	c := *h
	c.sentiment = append([][4]int8(nil), h.sentiment...)
	c.topics = append([]topicRow(nil), h.topics...)
	c.Topics = append([]Head(nil), h.Topics...)
	c.Learned = maps.Clone(h.Learned)
	return &c
}

// SentimentWeight returns the weight of a place of the sentiment table for a class, in steps of the head's scale.
func (h *Heads) SentimentWeight(id uint32, class int) int8 { return h.sentiment[id][class] }

// SetSentimentWeight sets a weight of the sentiment table.
func (h *Heads) SetSentimentWeight(id uint32, class int, w int8) { h.sentiment[id][class] = w }

// TopicWeight returns the weight of a place of the topic table in a column.
func (h *Heads) TopicWeight(id uint32, column int) int8 { return h.topics[id].weight(column) }

// SetTopicWeight sets a weight of the topic table. A column outside the table is a fault of the caller and panics.
func (h *Heads) SetTopicWeight(id uint32, column int, w int8) { h.topics[id].set(column, w) }

// The form of a model file: gzip over these magic bytes, the length of the JSON, the JSON, and the two tables column by
// column, which packs better than row by row.
const headsMagic = "earshot-heads-1\n"

// Marshal returns the heads in the form of a model file.
func (h *Heads) Marshal() ([]byte, error) {
	meta, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("write model: %w", err)
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("write model: %w", err)
	}
	raw := append([]byte(headsMagic), binary.LittleEndian.AppendUint32(nil, uint32(len(meta)))...)
	raw = append(raw, meta...)
	for k := range 3 {
		for i := range h.sentiment {
			raw = append(raw, byte(h.sentiment[i][k]))
		}
	}
	for k := range TopicWidth {
		for i := range h.topics {
			raw = append(raw, byte(h.topics[i].weight(k)))
		}
	}
	if _, err := z.Write(raw); err != nil {
		return nil, fmt.Errorf("write model: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("write model: %w", err)
	}
	return out.Bytes(), nil
}

// maxClasses bounds the classes of a head.
const maxClasses = 8

// active are the places of the dense features that are not zero: most are.
type active struct {
	at [64]uint8
	n  int
}

func (a *active) find(dense []int32) {
	a.n = 0
	for i, x := range dense {
		if x != 0 {
			a.at[a.n] = uint8(i)
			a.n++
		}
	}
}

// softness returns what the log odds of a text with these dense features of polarity are divided by.
func (h *Head) softness(several bool, dense []int32) float64 {
	by := 1.0
	if several {
		by += h.Several
	}
	by += float64(h.Mixed * Conflict(dense))
	return float64(h.Temperature * by)
}

// Conflict says of the dense features of polarity how far good and bad words stand against each other, 0 … 1: the lesser of
// the two sides.
func Conflict(dense []int32) float64 {
	return float64(max(0, min(dense[densePositive], -dense[denseNegative]))) / denseUnit
}

// logits adds up a head's log odds, divided by t: dense features in fixed point, and sums of weights with the numbers of
// features that they are sums of.
func (h *Head) logits(z *[maxClasses]float64, t float64, dense []int32, on *active, sums ...weighted) {
	var scale [2]float64
	for i, s := range sums {
		if s.count > 0 {
			scale[i] = h.Scale / math.Sqrt(float64(s.count))
		}
	}
	for k := range h.Classes {
		var d int64
		w := h.Dense[k]
		for _, i := range on.at[:on.n] {
			d += int64(w[i]) * int64(dense[i])
		}
		x := float64(d) / (denseUnit * denseUnit)
		for i, s := range sums {
			x += float64(scale[i] * float64(s.sum[k]))
		}
		z[k] = float64(x / t)
	}
}

// weighted is a sum of weights per class, and of how many features.
type weighted struct {
	sum   []int32
	count int32
}
