package clickhouse_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// Histories of customers over four months, for the figures that count customers: two tenants whose customers have the same
// keys, one tenant with a single customer, one that knows nobody, one whose answers are all the same. Late arrivals, equal
// moments, answers to questions under any of three threads, people of the company, bots, several languages.
const day = 24 * time.Hour

var historyTexts = []string{
	"The parcel came late, write to anna.smith@example.com or call +49 170 1234567.",
	"Das Paket kam viel zu spät, ärgerlich.", "配送が遅い。でも品質は良い。", "please make it\nbigger", "我想要退款", "",
}

func history(seed uint64, n int, end time.Time) []schemas.Row {
	rnd := rand.New(rand.NewPCG(seed, 11))
	rows := make([]schemas.Row, n)
	for i := range rows {
		rows[i] = historyRow(rnd, uint64(i+1), end)
	}
	rows[0].Event.Time = end.Add(-time.Minute) // the last hour heard of is the same for every seed
	rows[0].ReceivedAt, rows[0].Event.Data.ActorKind = rows[0].Event.Time, ""
	var buf []byte
	for i := range rows {
		rows[i].ID = rows[i].Event.Identity()
		buf = rows[i].Seal(buf)
	}
	return rows
}

func historyRow(rnd *rand.Rand, seq uint64, end time.Time) schemas.Row {
	at := end.Add(-time.Minute - 7*time.Second - time.Duration(rnd.IntN(130*24*60))*time.Minute) // no tie when days are rounded
	kinds := []schemas.Kind{schemas.FeedbackReceived, schemas.FeedbackReceived, schemas.ReviewPublished, schemas.MessagePosted, schemas.RatingSubmitted,
		schemas.RatingSubmitted, schemas.FollowupRated, schemas.CaseOpened, schemas.CaseReopened, schemas.AgentResponded, schemas.CaseResolved,
		schemas.CustomerInformed, schemas.CustomerChurned, schemas.CustomerRetained, schemas.CustomerUpdated, schemas.DecisionProposed, schemas.DecisionMade,
		schemas.DecisionAnswered, schemas.ImprovementShipped}
	e := &schemas.Event{ID: fmt.Sprint(seq), Source: "/x", Kind: pick(rnd, kinds...), Time: at, Tenant: pick(rnd, "acme", "acme", "acme", "globex", "globex", "solo", "ghost", "flat")}
	e.Type = e.Kind.Type()
	r := schemas.Row{Event: e, Epoch: epoch, Seq: seq, Generation: 1, ReceivedAt: at.Add(time.Duration(rnd.IntN(3)) * time.Second)}
	if rnd.IntN(12) == 0 {
		r.ReceivedAt = at.Add(time.Duration(rnd.IntN(50)) * day)
	}
	switch {
	case e.Tenant == "solo":
		r.CustomerKey = "only"
	case e.Tenant != "ghost" && rnd.IntN(6) > 0:
		r.CustomerKey = fmt.Sprintf("k%d", rnd.IntN(40))
	}
	d := &e.Data
	d.Channel = pick(rnd, "survey", "review", "email", "support")
	d.ActorKind = pick(rnd, "", "", "", "customer", "agent", "bot")
	if e.Kind == schemas.AgentResponded {
		d.ActorKind = pick(rnd, "agent", "agent", "bot")
	}
	d.Visibility = pick(rnd, "", "public", "internal")
	thread := func() string { return pick(rnd, "", "", fmt.Sprintf("t%d", rnd.IntN(60))) }
	d.CaseID, d.ConversationID, e.Correlation = thread(), thread(), thread()
	d.ThemeID = pick(rnd, "", "late", "size", "product/quality", "unplaced")
	d.Verdict, d.Outcome = pick(rnd, "agree", "disagree", "counter"), pick(rnd, "fix", "improve", "decline")
	if rnd.IntN(3) == 0 {
		d.SubmissionID = fmt.Sprintf("s%d", rnd.IntN(200))
	}
	byCustomer := d.ActorKind == "" || d.ActorKind == "customer"
	score := func(v float64) schemas.Score { return schemas.Score{Value: schemas.Quantise(v), Valid: true} }
	if byCustomer && rnd.IntN(2) == 0 {
		r.Scores.Rating = score(pick(rnd, -1, -0.5, 0, 0.5, 1.0))
		if rnd.IntN(2) == 0 {
			r.Scores.CSAT = score(pick(rnd, 0, 0.5, 1, 1))
		} else {
			r.Scores.NPS = score(pick(rnd, -1, 0, 1.0))
		}
		if e.Tenant == "flat" {
			r.Scores.CSAT, r.Scores.NPS = score(1), schemas.Score{}
		}
	}
	if spec, _ := e.Kind.Spec(); spec.Text && rnd.IntN(4) > 0 {
		historyLabels(rnd, &r)
	}
	return r
}

func historyLabels(rnd *rand.Rand, r *schemas.Row) {
	d, l := &r.Event.Data, &r.Labels
	d.Text = pick(rnd, historyTexts...)
	l.Polarity, l.Score = pick(rnd, schemas.Negative, schemas.Neutral, schemas.Positive), schemas.Quantise(rnd.Float64()*2-1)
	l.Language, l.Quality = pick(rnd, "en", "de", "ja"), schemas.QualityOK
	l.Confidence, l.IntentConfidence = 0.75, pick[float32](rnd, 0.5, 0.75)
	l.Intent = pick(rnd, schemas.Complaint, schemas.Praise, schemas.Question, schemas.Request, schemas.Request, schemas.ChurnNotice)
	l.ResponseNeeded = rnd.IntN(2) == 0
	if rnd.IntN(3) == 0 {
		l.Effort = int8(rnd.IntN(11) - 5)
	}
	l.ChurnRisk = schemas.Quantise(rnd.Float64())
	if l.ChurnRisk > 0.5 {
		l.ChurnReasons = []string{pick(rnd, "explicit: never again", "strongly negative"), "low rating"}
	}
	for range rnd.IntN(4) {
		f := pick(rnd, schemas.Facets()...)
		m := schemas.Mention{Element: f.Element(), Facet: f, Theme: pick(rnd, "late", "size", "rude", "taste", ""), Polarity: schemas.Quantise(rnd.Float64()*2 - 1), Confidence: pick[float32](rnd, 0.25, 0.5)}
		if rnd.IntN(4) == 0 {
			m.Polarity = 0
		}
		if rnd.IntN(5) == 0 {
			m.Facet = ""
		}
		if r.Event.Tenant == "flat" {
			m.Theme, m.Polarity = "late", 0.5
		}
		if m.Element == schemas.Service {
			m.S5 = pick(rnd, append(schemas.Virtues(), "")...)
		}
		m.Start = uint32(rnd.IntN(len(d.Text) + 1))
		m.End = m.Start + uint32(rnd.IntN(len(d.Text)+1-int(m.Start)))
		l.Mentions = append(l.Mentions, m)
	}
}

// store inserts rows month by month and merges them.
func store(t testing.TB, s *clickhouse.Store, rows []schemas.Row) {
	t.Helper()
	months := map[string][]schemas.Row{}
	for _, r := range rows {
		m := r.Event.Time.UTC().Format("2006-01")
		months[m] = append(months[m], r)
	}
	for m, list := range months {
		if err := s.Insert(t.Context(), list, fmt.Sprintf("%s-%d-%d", m, list[0].Seq, len(list))); err != nil {
			t.Fatal(err)
		}
	}
	merge(t, s)
}

// said says whether a customer speaks in the row.
func said(r *schemas.Row) bool {
	return r.Event.Data.ActorKind == "" || r.Event.Data.ActorKind == "customer"
}

// who tells customers apart as the figures must: within the tenant, and unknown ones by their event.
func who(r *schemas.Row) string {
	if r.CustomerKey == "" {
		return r.Event.Tenant + " unknown " + r.Event.ID
	}
	return r.Event.Tenant + " " + r.CustomerKey
}

// closeTo compares a figure with the oracle's; NaN stands for NULL.
func closeTo(t *testing.T, what string, got any, want float64) {
	t.Helper()
	switch g, ok := got.(float64); {
	case got == nil && math.IsNaN(want):
	case !ok || math.IsNaN(want) || math.Abs(g-want) > 1e-7*math.Max(1, math.Abs(want)):
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func same(t *testing.T, what string, got any, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// wilson is the interval of Wilson 1927 in percent; NaN without observations.
func wilson(k, n float64) (low, high float64) {
	if n == 0 {
		return math.NaN(), math.NaN()
	}
	p := k / n
	middle, half := p+z*z/(2*n), z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return math.Max(0, 100*(middle-half)/(1+z*z/n)), math.Min(100, 100*(middle+half)/(1+z*z/n))
}

func sortedKeys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
