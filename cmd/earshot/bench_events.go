package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/schemas"
)

// benchStart is when the first event of a measurement happened. Each further one happened a second later, so that a
// measurement keeps to one month, as the events of a working day do.
var benchStart = time.Date(2026, time.January, 5, 0, 0, 0, 0, time.UTC)

// Texts of a measurement are one or two sentences of the sample. Their lengths bring an event to about 375 bytes, which
// is what a support message or a short review takes as a CloudEvent.
const (
	shortestSentence, longestSentence = 16, 110
	enoughText                        = 40 // bytes from which a sentence stands alone
)

// generator makes the same events at every start.
type generator struct {
	samples   []sample
	sentences []string
	languages []string // of the sentences
	random    *rand.Rand
	made      int
}

func newGenerator() (*generator, error) {
	g := &generator{random: rand.New(rand.NewPCG(1, 2))}
	err := lines(bytes.NewReader(sampleFeedback), "sample", func(line int, b []byte) error {
		var s sample
		if err := json.Unmarshal(b, &s); err != nil {
			return fmt.Errorf("sample, line %d: %w", line, err)
		}
		g.samples = append(g.samples, s)
		for _, sentence := range sentences(s.Text) {
			g.sentences = append(g.sentences, sentence)
			g.languages = append(g.languages, s.Language)
		}
		return nil
	})
	return g, err
}

// sentences cuts a text at its full stops and returns those that have a useful length.
func sentences(text string) []string {
	var out []string
	for text != "" {
		end := strings.IndexAny(text, ".!?。！？\n")
		cut := len(text)
		if end >= 0 {
			_, size := utf8.DecodeRuneInString(text[end:])
			cut = end + size
		}
		if s := strings.TrimSpace(text[:cut]); len(s) >= shortestSentence && len(s) <= longestSentence {
			out = append(out, s)
		}
		text = text[cut:]
	}
	return out
}

// next makes the next event. Its text is of one language, its other fields are those of one sample.
func (g *generator) next() *schemas.Event {
	s := g.samples[g.random.IntN(len(g.samples))]
	pick := g.random.IntN(len(g.sentences))
	s.Text, s.Language = g.sentences[pick], g.languages[pick]
	if next := (pick + 1) % len(g.sentences); len(s.Text) < enoughText && g.languages[next] == s.Language {
		s.Text += " " + g.sentences[next]
	}
	s.ID = fmt.Sprintf("%s-%07d", s.Source, g.made)
	s.Customer = fmt.Sprintf("c-%05d", g.random.IntN(50_000))
	e := s.event(benchStart)
	e.Time = benchStart.Add(time.Duration(g.made) * time.Second)
	e.Tenant = fmt.Sprintf("tenant-%d", g.random.IntN(4))
	g.made++
	return e
}

// preload fills the log as the gateway does, and returns how many bytes the events have together.
func (b *bench) preload(ctx context.Context) (size int64, err error) {
	g, err := newGenerator()
	if err != nil {
		return 0, err
	}
	p, err := stream.NewPublisher(b.nc, stream.PublisherConfig{Shards: 1})
	if err != nil {
		return 0, err
	}
	defer func() { err = closeErr(err, p.Close(ctx)) }()
	header := map[string]string{schemas.HeaderContentType: schemas.ContentTypeEvent}
	for g.made < b.o.events {
		msgs := make([]schemas.Message, min(stream.MaxBatch, b.o.events-g.made))
		for i := range msgs {
			e := g.next()
			msgs[i] = schemas.Message{Subject: e.LogSubject(0), Header: header, Data: schemas.AppendStructured(nil, e)}
			size += int64(len(msgs[i].Data))
		}
		if err := p.Publish(ctx, msgs); err != nil {
			return 0, fmt.Errorf("fill the log: %w", err)
		}
	}
	return size, nil
}

func closeErr(err, closing error) error {
	if err != nil {
		return err
	}
	return closing
}
