package clickhouse_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// answer is a row that holds one rating and nothing else of interest.
func answer(tenant string, seq uint64, set func(r *schemas.Row)) schemas.Row {
	e := &schemas.Event{ID: fmt.Sprint(seq), Source: "/survey", Kind: schemas.RatingSubmitted, Tenant: tenant, Time: start.Add(time.Duration(seq) * time.Second)}
	e.Data.Channel = "survey"
	r := schemas.Row{Event: e, ID: e.Identity(), Epoch: epoch, Seq: seq, Generation: 1, ReceivedAt: e.Time}
	set(&r)
	r.Seal(nil)
	return r
}

// The expected intervals come from another program that was given the formulas of Wilson 1927 and Rocks 2016.
func TestCSATAndNPSGoldenCases(t *testing.T) {
	s := open(t)
	type counts struct{ top, middle, bottom int }
	score := func(v float32) schemas.Score { return schemas.Score{Value: v, Valid: true} }
	cases := []struct {
		tenant        string
		counts        counts
		csat, lo, hi  float64
		excl          any
		nps, nlo, nhi float64
	}{
		{"eight of ten", counts{8, 0, 2}, 80, 49.02, 94.33, 80.0, 60, 1.61, 90.70},
		{"all of five", counts{5, 0, 0}, 100, 56.55, 100, 100.0, 100, 17.49, 100},
		{"none of five", counts{0, 0, 5}, 0, 0, 43.45, 0.0, -100, -100, -17.49},
		{"all neutral", counts{0, 4, 0}, 0, 0, 48.99, nil, 0, -34.29, 34.29},
		{"fifty, thirty, twenty", counts{50, 30, 20}, 50, 40.38, 59.62, 71.43, 30, 14.05, 44.20},
	}
	var rows []schemas.Row
	seq := uint64(0)
	for _, c := range cases {
		for i, n := range []int{c.counts.bottom, c.counts.middle, c.counts.top} {
			for range n {
				seq++
				rows = append(rows, answer(c.tenant, seq, func(r *schemas.Row) {
					r.Scores.CSAT, r.Scores.NPS = score(float32(i)/2), score(float32(i-1))
				}))
			}
		}
	}
	insert(t, s, rows)
	two := func(what string, got any, want float64) {
		t.Helper()
		if g, ok := got.(float64); !ok || math.Abs(g-want) > 0.00501 {
			t.Errorf("%s: got %v, want %.2f", what, got, want)
		}
	}
	for _, c := range cases {
		csat := ask(t, s, "SELECT * FROM csat WHERE tenant = '"+c.tenant+"'")[0]
		two(c.tenant+" csat", csat["csat"], c.csat)
		two(c.tenant+" csat low", csat["csat_low"], c.lo)
		two(c.tenant+" csat high", csat["csat_high"], c.hi)
		if c.excl == nil {
			if csat["csat_excl_neutral"] != nil {
				t.Errorf("%s: csat_excl_neutral is %v, want none", c.tenant, csat["csat_excl_neutral"])
			}
		} else {
			two(c.tenant+" csat without neutral", csat["csat_excl_neutral"], c.excl.(float64))
		}
		nps := ask(t, s, "SELECT * FROM nps WHERE tenant = '"+c.tenant+"'")[0]
		two(c.tenant+" nps", nps["nps"], c.nps)
		two(c.tenant+" nps low", nps["nps_low"], c.nlo)
		two(c.tenant+" nps high", nps["nps_high"], c.nhi)
	}
}

func TestEffortKeepsItsThreeFiguresApart(t *testing.T) {
	s := open(t)
	var rows []schemas.Row
	for i, v := range []float32{7, 6, 5, 5, 4, 3, 1} {
		rows = append(rows, answer("acme", uint64(i+1), func(r *schemas.Row) { r.Scores.CES = schemas.Score{Value: v, Valid: true} }))
	}
	insert(t, s, rows)
	got := ask(t, s, "SELECT * FROM ces")[0]
	sd := math.Sqrt((49+36+25+25+16+9+1)/7.0-(31.0/7)*(31.0/7)) * math.Sqrt(7.0/6)
	near(t, "mean", got["mean"], 31.0/7)
	near(t, "mean low", got["mean_low"], 31.0/7-z*sd/math.Sqrt(7))
	near(t, "mean high", got["mean_high"], 31.0/7+z*sd/math.Sqrt(7))
	near(t, "share of 5 to 7", got["easy_share"], 400.0/7)
	near(t, "index", got["effort_index"], 0)
}

func TestThemesReachCustomersNotMentions(t *testing.T) {
	s := open(t)
	said := func(seq uint64, customer string, polarity float32, text, quote string) schemas.Row {
		return answer("acme", seq, func(r *schemas.Row) {
			r.CustomerKey, r.Event.Data.Text, r.Labels.Polarity = customer, text, schemas.Neutral
			at := uint32(bytes.Index([]byte(text), []byte(quote)))
			r.Labels.Mentions = []schemas.Mention{{Element: schemas.Service, Facet: schemas.Sale, Theme: "late", Polarity: polarity, Confidence: 0.5, Start: at, End: at + uint32(len(quote))}}
		})
	}
	agent := said(6, "x", -1, "the agent's own words", "own")
	agent.Event.Data.ActorKind = "agent"
	insert(t, s, []schemas.Row{
		said(1, "anna", -1, "Die Lieferung kam viel zu spät, ärgerlich.", "viel zu spät"),
		said(2, "anna", -0.5, "late again", "late"),
		said(3, "bob", 0.5, "on time", "on time"),
		said(4, "", -0.25, "late", "late"),
		said(5, "", -0.25, "late", "late"),
		agent,
	})
	got := ask(t, s, "SELECT * FROM theme_reach")
	if len(got) != 1 {
		t.Fatalf("got %d themes, want 1: %v", len(got), got)
	}
	for name, want := range map[string]any{"mentions": 5.0, "customers": 4.0, "unknown_customers": 2.0, "unhappy_customers": 3.0, "negative": 4.0, "mean_polarity": -0.3, "negative_share": 80.0, "worst_quote": "viel zu spät"} {
		if got[0][name] != want {
			t.Errorf("%s is %v, want %v", name, got[0][name], want)
		}
	}
	q, err := sql.Find("worst_themes")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := s.Named(t.Context(), q, map[string]string{"from": start.Add(3 * time.Second).Format(time.DateTime)}, "JSONEachRow", &out); err != nil {
		t.Fatal(err)
	}
	if row := decode(t, &out); len(row) != 1 || row[0]["mentions"] != 3.0 || row[0]["unhappy_customers"] != 2.0 {
		t.Errorf("from the third second on: got %v, want 3 mentions by 2 unhappy customers", row)
	}
}

func TestNeedsResponseForgetsWhatWasAnswered(t *testing.T) {
	s := open(t)
	asks := func(seq uint64, id, thread string) schemas.Row {
		return answer("acme", seq, func(r *schemas.Row) {
			r.Event.Data.Text, r.Event.Data.CaseID, r.Labels.ResponseNeeded = id, thread, true
		})
	}
	answers := func(seq uint64, kind schemas.Kind, actor, visibility, conversation, correlation string) schemas.Row {
		return answer("acme", seq, func(r *schemas.Row) {
			r.Event.Kind = kind
			d := &r.Event.Data
			d.ActorKind, d.Visibility, d.ConversationID, r.Event.Correlation = actor, visibility, conversation, correlation
		})
	}
	insert(t, s, []schemas.Row{
		answers(1, schemas.AgentResponded, "agent", "public", "", "asked after the answer"),
		asks(10, "answered", "answered"), answers(20, schemas.AgentResponded, "agent", "public", "", "answered"),
		asks(11, "message", "message"), answers(21, schemas.MessagePosted, "agent", "", "message", ""),
		asks(12, "resolved", "resolved"), answers(22, schemas.CaseResolved, "system", "", "resolved", ""),
		asks(13, "bot only", "bot only"), answers(23, schemas.MessagePosted, "bot", "", "bot only", ""),
		asks(14, "internal note", "internal note"), answers(24, schemas.AgentResponded, "agent", "internal", "internal note", ""),
		asks(15, "asked after the answer", "asked after the answer"),
		asks(16, "no thread at all", ""),
	})
	got := ask(t, s, "SELECT text FROM needs_response ORDER BY text")
	var texts []string
	for _, r := range got {
		texts = append(texts, r["text"].(string))
	}
	want := []string{"asked after the answer", "bot only", "internal note", "no thread at all"}
	if fmt.Sprint(texts) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", texts, want)
	}
}

func TestEveryNamedQueryRunsWithItsDefaults(t *testing.T) {
	s := open(t)
	insert(t, s, generate(6, 300, 1))
	waiting := answer("acme", 301, func(r *schemas.Row) {
		r.Event.Time = time.Now().Add(-5 * time.Hour).Truncate(time.Millisecond)
		r.Event.Data.Text, r.Labels.ResponseNeeded = "Hello?", true
		r.CustomerKey, r.ReceivedAt, r.Labels.Polarity, r.Labels.Intent = "k1", r.Event.Time, schemas.Neutral, schemas.Request
		r.Labels.Mentions = []schemas.Mention{{Element: schemas.Service, Theme: "no-answer", Polarity: -0.5}}
	})
	if err := s.Insert(t.Context(), []schemas.Row{waiting}, "waiting"); err != nil {
		t.Fatal(err)
	}
	unambiguous(tell(7, 60)).store(t, s)
	if err := s.WriteAlert(t.Context(), &schemas.Alert{ID: "a", Rule: "R", Cell: map[string]string{"tenant": "acme"}, RaisedAt: start}); err != nil {
		t.Fatal(err)
	}
	for _, q := range sql.Queries() {
		var out bytes.Buffer
		if err := s.Named(t.Context(), q, nil, "JSONEachRow", &out); err != nil {
			t.Errorf("%s: %v", q.Name, err)
		}
		// The stories are older than the last 90 days.
		params := map[string]string{}
		for _, p := range q.Params {
			if p.Name == "from" {
				params["from"] = "2000-01-01 00:00:00"
			}
		}
		out.Reset()
		if err := s.Named(t.Context(), q, params, "JSONEachRow", &out); err != nil {
			t.Errorf("%s %v: %v", q.Name, params, err)
		}
		if len(decode(t, &out)) == 0 {
			t.Errorf("%s: no rows", q.Name)
		}
		if err := s.Named(t.Context(), q, map[string]string{"colour": "red"}, "", &out); err == nil {
			t.Errorf("%s: took a parameter it does not have", q.Name)
		}
	}
}

func TestEveryColumnIsExplained(t *testing.T) {
	s := open(t)
	if bad := text(t, s, "SELECT object, column FROM data_dictionary WHERE meaning = ''"); bad != "" {
		t.Errorf("columns without a meaning:\n%s", bad)
	}
	objects := map[string]bool{}
	for _, o := range slices.Concat(sql.Tables(), sql.Views(), sql.Bookkeeping()) {
		objects[o.Name] = true
	}
	if n := text(t, s, "SELECT uniqExact(object) FROM data_dictionary"); n != fmt.Sprintln(len(objects)) {
		t.Errorf("the dictionary covers %s objects", n)
	}
}

// A generation is switched for all views at once.
func TestViewsShowTheLiveGeneration(t *testing.T) {
	s := open(t)
	rows := generate(8, 100, 1)
	insert(t, s, rows)
	second := generate(8, 60, 1)
	for i := range second {
		second[i].Generation = 2
	}
	if err := s.Insert(t.Context(), second, "second"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		generation uint32
		want       string
	}{{1, "100\n"}, {2, "60\n"}, {1, "100\n"}} {
		if err := s.SetLive(t.Context(), c.generation); err != nil {
			t.Fatal(err)
		}
		if live, err := s.Live(t.Context()); err != nil || live != c.generation {
			t.Errorf("live is %d (%v), want %d", live, err, c.generation)
		}
		if got := text(t, s, "SELECT count() FROM feedback_current"); got != c.want {
			t.Errorf("generation %d: %s rows, want %s", c.generation, got, c.want)
		}
		if again, err := s.Migrate(t.Context(), clickhouse.MigrateOptions{}); err != nil || len(again) > 0 {
			t.Errorf("migrating again changed %v (%v)", again, err)
		}
	}
	if err := s.SetLive(t.Context(), 0); err == nil {
		t.Error("generation 0 was taken")
	}
}

// An alert is one row whatever is written twice, and its end replaces its beginning.
func TestAnAlertIsOneRow(t *testing.T) {
	s := open(t)
	a := &schemas.Alert{ID: "a1", Rule: "R", Severity: schemas.Critical, Cell: map[string]string{"tenant": "acme", "channel": "app"},
		RaisedAt: start, Since: start.Add(-time.Minute), Observed: 9, Window: schemas.Seconds(time.Hour), Probability: 1e-7}
	write := func() {
		t.Helper()
		if err := s.WriteAlert(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	write()
	write()
	const question = "SELECT count(), any(resolved_at IS NULL), any(channel), any(window_seconds) FROM alerts FINAL"
	if got := text(t, s, question); got != "1\t1\tapp\t3600\n" {
		t.Errorf("after its beginning, twice: %q", got)
	}
	began := *a
	a.ResolvedAt = start.Add(time.Hour)
	write()
	a = &began // a late repetition of the beginning
	write()
	if err := clickhouse.Exec(t.Context(), s, "OPTIMIZE TABLE alerts FINAL"); err != nil {
		t.Fatal(err)
	}
	if got := text(t, s, "SELECT count(), any(version), any(resolved_at) - any(raised_at) FROM alerts"); got != "1\t2\t3600\n" && got != "1\t2\t3600.000\n" {
		t.Errorf("after its end: %q", got)
	}
}
