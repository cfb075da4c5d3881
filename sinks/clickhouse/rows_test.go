package clickhouse_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// open returns a migrated store on a fresh database of the test engine.
func open(t testing.TB) *clickhouse.Store {
	t.Helper()
	s := bare(t)
	if _, err := s.Migrate(t.Context(), clickhouse.MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// bare returns a store on a fresh, empty database.
func bare(t testing.TB) *clickhouse.Store {
	t.Helper()
	return connect(t, clickhouse.Config{DSN: enginetest.Start(t)})
}

func connect(t testing.TB, cfg clickhouse.Config) *clickhouse.Store {
	t.Helper()
	cfg.Logger = zerolog.Nop()
	s, err := clickhouse.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// epoch is the epoch of all generated rows.
const epoch = "5f3c0e"

// start is when the generated rows begin.
var start = time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)

// generate returns n random rows of one month with sequences from lo on. The same seed gives the same rows.
func generate(seed uint64, n int, lo uint64) []schemas.Row {
	rnd := rand.New(rand.NewPCG(seed, 7))
	rows := make([]schemas.Row, n)
	for i := range rows {
		rows[i] = generateRow(rnd, lo+uint64(i))
	}
	var buf []byte
	for i := range rows {
		buf = rows[i].Seal(buf)
	}
	return rows
}

func pick[T any](rnd *rand.Rand, from ...T) T { return from[rnd.IntN(len(from))] }

// axis is an absent score in most cases, else a multiple of 1/128.
func axis(rnd *rand.Rand) schemas.Score {
	if rnd.IntN(3) > 0 {
		return schemas.Score{}
	}
	return schemas.Score{Value: schemas.Quantise(rnd.Float64()*2 - 1), Valid: true}
}

func generateRow(rnd *rand.Rand, seq uint64) schemas.Row {
	at := start.Add(time.Duration(rnd.IntN(72*3600*1000)) * time.Millisecond)
	e := &schemas.Event{
		ID: fmt.Sprint(seq), Source: "/zendesk/acme", Type: "feedback.received.v1", Kind: schemas.FeedbackReceived, Time: at,
		Tenant: pick(rnd, "acme", "acme", "globex"), Correlation: fmt.Sprintf("case-%d", rnd.IntN(40)), Causation: "/zendesk/acme#1",
	}
	d := &e.Data
	d.Channel = pick(rnd, "support", "review", "email")
	d.CaseID = e.Correlation
	d.ConversationID = fmt.Sprintf("t-%d", rnd.IntN(40))
	d.ActorKind = pick(rnd, "", "", "customer", "agent")
	d.Text = pick(rnd, "Das Paket kam zu spät. Der Käse war gut.", "Parcel arrived crushed and nobody answered.", "配送が遅い。でも品質は良い。", "it's \\ fine\t\"really\"", "")
	d.ProductID, d.OrderID = fmt.Sprintf("p-%d", rnd.IntN(9)), fmt.Sprintf("o-%d", seq)
	d.Metadata = []byte(`{"browser":"x","n":1}`)
	r := schemas.Row{
		Event: e, ID: e.Identity(), Epoch: epoch, Shard: 0, Seq: seq, Generation: 1, ReceivedAt: at.Add(time.Second),
	}
	if rnd.IntN(4) > 0 {
		r.CustomerKey = fmt.Sprintf("k%d", rnd.IntN(60))
	}
	l := &r.Labels
	l.Language, l.Quality, l.Model, l.Urgency, l.Element = pick(rnd, "en", "de", "und"), schemas.QualityOK, "cues-1", pick(rnd, schemas.UrgencyLow, schemas.UrgencyHigh), schemas.Unspecified
	if d.Text != "" {
		l.Score = schemas.Quantise(rnd.Float64()*2 - 1)
		l.Polarity, l.Sentiment = schemas.Neutral, schemas.SentimentNeutral
		switch {
		case l.Score > 0.25:
			l.Polarity, l.Sentiment = schemas.Positive, schemas.SentimentPositive
		case l.Score < -0.25:
			l.Polarity, l.Sentiment = schemas.Negative, schemas.VeryNegative
		}
		l.Confidence, l.Probabilities = 0.75, [3]float32{0.125, 0.125, 0.75}
		l.Intent = pick(rnd, schemas.Complaint, schemas.Praise, schemas.Question, schemas.ChurnNotice)
		l.IntentConfidence = 0.5
		if l.Stage = pick(rnd, "", schemas.StageSale, schemas.NoStage); l.Stage != "" {
			l.StageConfidence = pick[float32](rnd, 0.5, 1)
		}
		l.SentimentText = pick(rnd, "", l.Polarity)
		l.Effort = int8(rnd.IntN(11) - 5)
		l.ResponseNeeded = rnd.IntN(2) == 0
		l.ChurnRisk = float32(rnd.IntN(5)) / 4
		if l.ChurnRisk > 0.5 {
			l.ChurnReasons = []string{"explicit: buy elsewhere"}
		}
		for range rnd.IntN(3) {
			f := pick(rnd, schemas.Facets()...)
			m := schemas.Mention{Element: f.Element(), Facet: f, Theme: pick(rnd, "late-delivery", "cheese", ""), Polarity: schemas.Quantise(rnd.Float64()*2 - 1), Confidence: 0.5, Start: 0, End: 3}
			if m.Element == schemas.Service {
				m.S5 = pick(rnd, append(schemas.Virtues(), "")...)
			}
			l.Mentions = append(l.Mentions, m)
		}
	}
	s := &r.Scores
	for i := range s.Element {
		s.Element[i] = axis(rnd)
	}
	for i := range s.Facet {
		s.Facet[i] = axis(rnd)
	}
	for i := range s.S5 {
		s.S5[i] = axis(rnd)
	}
	s.Rating = axis(rnd)
	s.RatingDisagrees = rnd.IntN(9) == 0
	if rnd.IntN(2) == 0 {
		s.CSAT = schemas.Score{Value: pick[float32](rnd, 0, 0.5, 1), Valid: true}
	}
	if rnd.IntN(2) == 0 {
		s.NPS = schemas.Score{Value: pick[float32](rnd, -1, 0, 1), Valid: true}
	}
	if rnd.IntN(2) == 0 {
		s.CES = schemas.Score{Value: float32(1 + rnd.IntN(7)), Valid: true}
		v := float64(s.CES.Value)
		d.Number, d.FieldType = &v, "ces"
	}
	return r
}

// insert stores rows under a token made of their range.
func insert(t testing.TB, s *clickhouse.Store, rows []schemas.Row) {
	t.Helper()
	if err := s.Insert(t.Context(), rows, fmt.Sprintf("%s-%d-%d", rows[0].Epoch, rows[0].Seq, rows[len(rows)-1].Seq)); err != nil {
		t.Fatal(err)
	}
}
