package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/earshot/earshot/processors/measure"
	"github.com/earshot/earshot/schemas"
)

// What the rows for a measurement of queries are about: three shops in a year, of which the largest has six tenths of all
// events and is the one that is asked about. One event in ten belongs to a case.
const (
	rowsTenant    = "large"
	rowsDays      = 365
	rowsCustomers = 60_000 // of the largest, the others have fewer in proportion
	rowsProducts  = 300
	rowsThemes    = 60
	rowsCases     = 0.0195 // part of what customers do that begins a case, of five to six events each
)

// rowMaker makes rows with made-up labels day by day. The labels are drawn, not classified, which would take most of the
// time of a measurement that is about reading. The same number of rows from the same moment on gives the same rows.
type rowMaker struct {
	text    *generator
	random  *rand.Rand
	first   time.Time     // when the first day begins
	rows    int           // to be made
	made    int           // so far, which is the sequence of the latest
	pending []schemas.Row // of a story whose next events are due on a later day, by time
}

func newRowMaker(rows int, first time.Time) (*rowMaker, error) {
	text, err := newGenerator()
	return &rowMaker{text: text, random: rand.New(rand.NewPCG(5, 8)), first: first.UTC(), rows: rows}, err
}

// day makes the rows of one day, from 0 on, in order of time.
func (m *rowMaker) day(day int) []schemas.Row {
	begin := m.first.Add(time.Duration(day) * 24 * time.Hour)
	end := begin.Add(24 * time.Hour)
	goal := m.rows*(day+1)/rowsDays - m.made
	due := 0 // of the pending, those that happen today
	today := func(r *schemas.Row) bool { return r.Event.Time.Before(end) }
	for i := range m.pending {
		if today(&m.pending[i]) {
			due++
		}
	}
	for due < goal {
		for _, r := range m.story(begin.Add(time.Duration(m.random.IntN(24*3600*1000)) * time.Millisecond)) {
			if today(&r) {
				due++
			} else if day == rowsDays-1 {
				continue // what would happen later does not
			}
			m.pending = append(m.pending, r)
		}
	}
	slices.SortStableFunc(m.pending, func(a, b schemas.Row) int { return a.Event.Time.Compare(b.Event.Time) })
	out := slices.Clone(m.pending[:goal])
	m.pending = slices.Clone(m.pending[due:])
	for i := range out {
		m.made++
		r := &out[i]
		r.Seq, r.Epoch, r.Generation, r.ReceivedAt = uint64(m.made), "bench", 1, r.Event.Time.Add(time.Second)
		r.Event.ID = fmt.Sprint(m.made)
		r.ID = r.Event.Identity()
		r.Seal(nil)
	}
	return out
}

// story is one customer's doing and what follows from it, by time.
func (m *rowMaker) story(at time.Time) []schemas.Row {
	who := m.patron()
	if m.random.Float64() < rowsCases {
		return m.complaint(at, who)
	}
	switch p := m.random.IntN(100); {
	case p < 38:
		return []schemas.Row{m.said(at, who, schemas.ReviewPublished, pickOf(m.random, "review", "app", "store"), "rating", 1, 5)}
	case p < 63:
		return []schemas.Row{m.said(at, who, schemas.FeedbackReceived, pickOf(m.random, "web", "social", "email", "form"), "", 0, 0)}
	case p < 81:
		return []schemas.Row{m.said(at, who, schemas.RatingSubmitted, "survey", "nps", 0, 10)}
	case p < 90:
		return []schemas.Row{m.said(at, who, schemas.RatingSubmitted, "survey", "ces", 1, 7)}
	}
	return []schemas.Row{m.said(at, who, schemas.RatingSubmitted, "survey", "csat", 1, float64(pickOf(m.random, 5, 5, 7)))}
}

// patron is a tenant and one of its customers.
type patron struct{ tenant, customer string }

func (m *rowMaker) patron() patron {
	tenant, customers := rowsTenant, rowsCustomers
	switch p := m.random.IntN(10); {
	case p >= 9:
		tenant, customers = "small", rowsCustomers/6
	case p >= 6:
		tenant, customers = "middle", rowsCustomers/2
	}
	return patron{tenant, fmt.Sprintf("%016x", (uint64(m.random.IntN(customers))+1)*0x9e3779b97f4a7c15)}
}

// complaint is a case with its answers, its decision and its end.
func (m *rowMaker) complaint(at time.Time, of patron) []schemas.Row {
	channel := pickOf(m.random, "support", "email", "chat", "call")
	id := fmt.Sprintf("case-%08x", m.random.Uint32())
	agent := fmt.Sprintf("agent-%d", m.random.IntN(40))
	var out []schemas.Row
	add := func(kind schemas.Kind, actor string, after time.Duration) *schemas.Row {
		at = at.Add(time.Duration(m.random.ExpFloat64()*float64(after)) + time.Second).Truncate(time.Millisecond)
		r := m.blank(at, of, kind, channel)
		d := &r.Event.Data
		d.CaseID, d.ConversationID, d.ActorKind, d.Visibility = id, id, actor, "public"
		if actor == "agent" {
			d.AgentID, d.TeamID = agent, "team-"+agent[len(agent)-1:]
		}
		out = append(out, r)
		return &out[len(out)-1]
	}
	m.speak(add(schemas.CaseOpened, "customer", 0))
	if m.random.IntN(10) > 0 {
		m.speak(add(schemas.AgentResponded, "agent", 5*time.Hour))
		if m.random.IntN(2) == 0 {
			m.speak(add(schemas.MessagePosted, "customer", 8*time.Hour))
			m.speak(add(schemas.MessagePosted, "agent", 3*time.Hour))
		}
	}
	if m.random.IntN(3) == 0 {
		add(schemas.DecisionProposed, "agent", 5*time.Hour).Event.Data.DecisionText = "A replacement is sent."
		if m.random.IntN(2) == 0 {
			add(schemas.DecisionAnswered, "customer", 12*time.Hour).Event.Data.Verdict = pickOf(m.random, "agree", "agree", "disagree", "counter")
		}
		made := add(schemas.DecisionMade, "agent", 3*time.Hour)
		made.Event.Data.Outcome = pickOf(m.random, "replace", "refund", "fix", "decline")
		made.Event.Data.PromiseDue = at.Add(48 * time.Hour).Format(time.RFC3339)
	}
	if m.random.IntN(5) > 0 {
		add(schemas.CaseResolved, "agent", 24*time.Hour).Event.Data.ResolutionCode = "done"
		if m.random.IntN(8) == 0 {
			m.speak(add(schemas.CaseReopened, "customer", 30*time.Hour))
			m.speak(add(schemas.AgentResponded, "agent", 5*time.Hour))
			add(schemas.CaseResolved, "agent", 24*time.Hour).Event.Data.ResolutionCode = "done"
		}
		if m.random.IntN(2) == 0 {
			add(schemas.CustomerInformed, "agent", time.Hour)
		}
		if m.random.IntN(3) == 0 {
			m.rate(add(schemas.FollowupRated, "customer", 24*time.Hour), "csat", 1, 5)
		}
	}
	return out
}

func pickOf[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

func (m *rowMaker) blank(at time.Time, of patron, kind schemas.Kind, channel string) schemas.Row {
	e := &schemas.Event{Source: "/bench", Type: kind.Type(), Kind: kind, Tenant: of.tenant, Time: at.UTC()}
	e.Data.Channel = channel
	if product := m.random.IntN(2 * rowsProducts); product < rowsProducts {
		e.Data.ProductID = fmt.Sprintf("product-%03d", product)
	}
	return schemas.Row{Event: e, CustomerKey: of.customer, Labels: schemas.Labels{Element: schemas.Unspecified, Urgency: schemas.UrgencyLow, Quality: schemas.QualityEmpty, Language: "und"}}
}

// said is an event with words, an answer on a scale, or both.
func (m *rowMaker) said(at time.Time, of patron, kind schemas.Kind, channel, fieldType string, lo, hi float64) schemas.Row {
	r := m.blank(at, of, kind, channel)
	if kind != schemas.RatingSubmitted || m.random.IntN(3) == 0 {
		m.speak(&r)
	}
	if fieldType != "" {
		m.rate(&r, fieldType, lo, hi)
	}
	return r
}

// rate adds an answer on a scale; good ones are more frequent.
func (m *rowMaker) rate(r *schemas.Row, fieldType string, lo, hi float64) {
	v := lo + float64(max(m.random.IntN(int(hi-lo)+1), m.random.IntN(int(hi-lo)+1)))
	d := &r.Event.Data
	d.FieldType, d.Number, d.ScaleMin, d.ScaleMax = fieldType, &v, &lo, &hi
	r.Scores = measure.Measure(r.Event, &r.Labels)
}

// speak adds words and what a classifier might make of them.
func (m *rowMaker) speak(r *schemas.Row) {
	pick := m.random.IntN(len(m.text.sentences))
	d, l := &r.Event.Data, &r.Labels
	d.Text, l.Language = m.text.sentences[pick], m.text.languages[pick]
	l.Model, l.Quality, l.Urgency = "bench", schemas.QualityOK, pickOf(m.random, schemas.UrgencyLow, schemas.UrgencyLow, schemas.UrgencyMedium, schemas.UrgencyHigh)
	l.Score = schemas.Quantise(m.random.NormFloat64()/2 + 0.1)
	switch {
	case l.Score > 0.25:
		l.Polarity, l.Sentiment, l.Intent = schemas.Positive, schemas.SentimentPositive, schemas.Praise
	case l.Score < -0.25:
		l.Polarity, l.Sentiment, l.Intent = schemas.Negative, schemas.SentimentNegative, pickOf(m.random, schemas.Complaint, schemas.Complaint, schemas.Request, schemas.ChurnNotice)
	default:
		l.Polarity, l.Sentiment, l.Intent = schemas.Neutral, schemas.SentimentNeutral, pickOf(m.random, schemas.OtherIntent, schemas.Question, schemas.Request)
	}
	l.Stage = pickOf(m.random, schemas.NoStage, schemas.NoStage, schemas.StagePresale, schemas.StageSale, schemas.StageAftersale)
	l.Confidence, l.IntentConfidence, l.StageConfidence, l.Probabilities = 0.75, 0.5, 0.5, [3]float32{0.125, 0.125, 0.75}
	if l.Intent == schemas.ChurnNotice {
		l.ChurnRisk, l.ChurnReasons = 0.75, []string{"explicit: buy elsewhere"}
	}
	l.ResponseNeeded = l.Intent != schemas.Praise && l.Intent != schemas.OtherIntent && d.ActorKind != "agent"
	for range m.random.IntN(4) {
		f := pickOf(m.random, schemas.Facets()...)
		mention := schemas.Mention{Element: f.Element(), Facet: f, Polarity: schemas.Quantise(float64(l.Score) + m.random.NormFloat64()/3), Confidence: 0.5, End: uint32(len(d.Text))}
		mention.Theme = fmt.Sprintf("%s-%d", f, min(m.random.IntN(rowsThemes), m.random.IntN(rowsThemes)))
		if mention.Element == schemas.Service {
			mention.S5 = pickOf(m.random, append(schemas.Virtues(), "", "")...)
		}
		l.Mentions, l.Element = append(l.Mentions, mention), mention.Element
	}
	r.Scores = measure.Measure(r.Event, l)
}
