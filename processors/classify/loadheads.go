package classify

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// KnownHeads returns the heads that a model can have, without weights: polarity first, then those of the topic table in the
// order of their columns.
func KnownHeads() []Head {
	heads := []Head{
		{Name: "sentiment", Classes: sentimentClasses()},
		{Name: "intent", Classes: []string{"complaint", "praise", "question", "request", "churn_notice", "other"}},
		{Name: "element", Classes: []string{"product", "service", "image", "unspecified"}},
		{Name: "stage", Classes: []string{"presale", "sale", "aftersale", "none"}},
		{Name: "junk", Classes: []string{"ham", "spam"}},
		{Name: "churn", Classes: []string{"stay", "leave"}},
	}
	for i := 2; i < len(heads); i++ {
		heads[i].At = heads[i-1].At + len(heads[i-1].Classes)
	}
	return heads
}

// UnmarshalHeads reads a model file.
func UnmarshalHeads(file []byte) (*Heads, error) {
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("read model: %w; it is no model file of earshot train or adapt", err)
	}
	raw, err := io.ReadAll(io.LimitReader(z, tableBytes+8<<20))
	if err != nil {
		return nil, fmt.Errorf("read model: %w; the file is damaged", err)
	}
	h, err := unpack(raw)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(file)
	h.hash = hex.EncodeToString(sum[:4])
	return h, nil
}

// tableBytes is the size of the tables in a model file.
const tableBytes = 3<<SentimentBits + TopicWidth<<TopicBits

// unpack reads what a model file holds under its compression.
func unpack(raw []byte) (*Heads, error) {
	n := len(headsMagic)
	if len(raw) < n+4 || string(raw[:n]) != headsMagic {
		return nil, errors.New("read model: it is no model file of this version; train it again")
	}
	meta := int(binary.LittleEndian.Uint32(raw[n:]))
	raw = raw[n+4:]
	if meta < 0 || len(raw) != meta+tableBytes {
		return nil, errors.New("read model: its tables have another size; train it again")
	}
	h, err := readHeads(raw[:meta])
	if err != nil {
		return nil, err
	}
	raw = raw[meta:]
	for k := range 3 {
		for i := range h.sentiment {
			h.sentiment[i][k] = int8(raw[i])
		}
		raw = raw[len(h.sentiment):]
	}
	for k := range TopicWidth {
		for i := range h.topics {
			h.topics[i].set(k, int8(raw[i]))
		}
		raw = raw[len(h.topics):]
	}
	return h, nil
}

// readHeads reads what a model file says of its heads. The tables are empty yet.
func readHeads(meta []byte) (*Heads, error) {
	h := &Heads{}
	if err := json.Unmarshal(meta, h); err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	empty := NewHeads()
	h.sentiment, h.topics = empty.sentiment, empty.topics
	return h, nil
}

// check finds what would let a model read outside its tables, give no labels, or give labels that there are not.
func (h *Heads) check() error {
	known := KnownHeads()
	if n := h.Card.Name; n == "" || len(n) > 64 || strings.ContainsFunc(n, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.IsSpace(r) }) {
		return fmt.Errorf("read model: its name is %q, want 1 to 64 bytes without blanks", n)
	}
	if err := h.Sentiment.check(known[0], denseCount); err != nil {
		return err
	}
	for i := range h.Plain {
		if h.Plain[i].Classes == nil {
			continue
		}
		plain := known[0]
		plain.Name = "plain"
		if err := h.Plain[i].check(plain, denseCount); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for i := range h.Topics {
		t := &h.Topics[i]
		at := slices.IndexFunc(known[1:], func(k Head) bool { return k.Name == t.Name })
		if at < 0 || seen[t.Name] {
			return fmt.Errorf("read model: head %q is unknown or there twice", t.Name)
		}
		seen[t.Name] = true
		if err := t.check(known[1+at], ruleCount); err != nil {
			return err
		}
	}
	return nil
}

// check holds a head against the one that this program knows by the name. The bounds of the numbers are far beyond what
// training gives, and keep every sum finite.
func (h *Head) check(want Head, dense int) error {
	switch {
	case h.Name != want.Name:
		return fmt.Errorf("read model: head %q stands where %q belongs", h.Name, want.Name)
	case !slices.Equal(h.Classes, want.Classes):
		return fmt.Errorf("read model: head %q has classes %q, this program has %q; train it again", h.Name, h.Classes, want.Classes)
	case h.At != want.At:
		return fmt.Errorf("read model: head %q begins in column %d, want %d; train it again", h.Name, h.At, want.At)
	case len(h.Dense) != len(h.Classes):
		return fmt.Errorf("read model: head %q has %d rows of dense weights for %d classes", h.Name, len(h.Dense), len(h.Classes))
	case !(h.Several >= 0 && h.Several < 10) || !(h.Mixed >= 0 && h.Mixed < 10):
		return fmt.Errorf("read model: the temperature of head %q grows by %v and %v, want 0 to 10", h.Name, h.Several, h.Mixed)
	case !(h.Temperature >= 0.01 && h.Temperature <= 100):
		return fmt.Errorf("read model: head %q has temperature %v, want 0.01 to 100", h.Name, h.Temperature)
	case !(h.Scale > 0 && h.Scale <= 1):
		return fmt.Errorf("read model: head %q has scale %v, want above 0, at most 1", h.Name, h.Scale)
	}
	for _, w := range h.Dense {
		if len(w) != dense {
			return fmt.Errorf("read model: head %q has %d dense weights, this program has %d features; train it again", h.Name, len(w), dense)
		}
	}
	return nil
}
