package clickhouse_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

func count(t *testing.T, s *clickhouse.Store) uint64 {
	t.Helper()
	n, _, err := s.ReadBack(t.Context(), schemas.Range{Epoch: epoch, Generation: 1, Lo: 1, Hi: 1<<63 - 1})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOneTokenStoresOnce(t *testing.T) {
	s := open(t)
	rows := generate(1, 200, 1)
	for range 2 {
		if err := s.Insert(t.Context(), rows, "token-a"); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, s); n != 200 {
		t.Errorf("the same token twice stored %d rows, want 200", n)
	}
	if err := s.Insert(t.Context(), rows, "token-b"); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s); n != 400 {
		t.Errorf("another token brought it to %d rows, want 400: then the first half of this test proves nothing", n)
	}
	if err := s.Insert(t.Context(), nil, "nothing"); err != nil {
		t.Errorf("an empty insert: %v", err)
	}
}

func TestInsertIsOnePart(t *testing.T) {
	s := open(t)
	insert(t, s, generate(1, 20_000, 1))
	if got := text(t, s, "SELECT count(), any(part_type) FROM system.parts WHERE database = currentDatabase() AND table = 'feedback' AND active"); got != "1\tCompact\n" {
		t.Errorf("20,000 rows became %q, want one compact part", got)
	}
}

func TestInsertRefusesWhatWouldBeTwoParts(t *testing.T) {
	s := open(t)
	for _, c := range []struct {
		claim, token string
		change       func(r *schemas.Row)
	}{
		{"two months", "x", func(r *schemas.Row) { r.Event.Time = r.Event.Time.AddDate(0, 1, 0) }},
		{"the same month of two years", "x", func(r *schemas.Row) { r.Event.Time = r.Event.Time.AddDate(1, 0, 0) }},
		{"two generations", "x", func(r *schemas.Row) { r.Generation = 2 }},
		{"no token", "", func(*schemas.Row) {}},
	} {
		rows := generate(1, 10, 1)
		c.change(&rows[9])
		err := s.Insert(t.Context(), rows, c.token)
		var own *clickhouse.Error
		if !errors.As(err, &own) || !own.Permanent() {
			t.Errorf("%s: got %v, want a permanent refusal", c.claim, err)
		}
	}
	if n := count(t, s); n != 0 {
		t.Errorf("%d rows were stored", n)
	}
}

// What is stored is what was given, value by value, whether a column is filled or left out of the insert.
func TestRowsComeBackAsTheyWere(t *testing.T) {
	for _, compression := range []string{"none", "lz4"} {
		s := connect(t, clickhouse.Config{DSN: enginetest.Start(t), Compression: compression})
		migrate(t, s)
		rows := generate(9, 150, 1)
		yes, amount := true, 12.5
		full := &rows[17].Event.Data
		full.PromiseDue, full.Boolean, full.CustomerValue, full.ConsentContact = "2026-12-01T09:30:00+01:00", &yes, &amount, &yes
		full.Visibility, full.Extra, full.URI = "internal", []byte(`{"é":"\u0001"}`), "https://example.com/?q='x'"
		insert(t, s, rows)
		got := ask(t, s, "SELECT * FROM feedback_current ORDER BY seq")
		if len(got) != len(rows) {
			t.Fatalf("%d rows came back, want %d", len(got), len(rows))
		}
		for i := range rows {
			if diff := cmp.Diff(expected(&rows[i]), pickKeys(got[i], expected(&rows[i]))); diff != "" {
				t.Errorf("row %d (−given +stored):\n%s", i, diff)
			}
		}
		if due := got[17]["promise_due"]; due != "2026-12-01 08:30:00.000" {
			t.Errorf("promise_due is %v, want it in UTC", due)
		}
	}
}

func pickKeys(row, want map[string]any) map[string]any {
	out := map[string]any{}
	for k := range want {
		out[k] = row[k]
	}
	return out
}

// expected is a row as JSON would bring it back, for a selection of columns of every type.
func expected(r *schemas.Row) map[string]any {
	d := &r.Event.Data
	optional := func(s schemas.Score) any {
		if !s.Valid {
			return nil
		}
		return float64(s.Value)
	}
	lines := func(get func(m *schemas.Mention) any) []any {
		out := []any{}
		for i := range r.Labels.Mentions {
			out = append(out, get(&r.Labels.Mentions[i]))
		}
		return out
	}
	reasons := []any{}
	for _, s := range r.Labels.ChurnReasons {
		reasons = append(reasons, s)
	}
	out := map[string]any{
		"tenant": r.Event.Tenant, "event_id": r.ID.String(), "source_event_id": r.Event.ID, "kind": string(r.Event.Kind),
		"occurred_at": r.Event.Time.Format("2006-01-02 15:04:05.000"), "received_at": r.ReceivedAt.Format("2006-01-02 15:04:05.000"),
		"text": d.Text, "metadata": string(d.Metadata), "extra": string(d.Extra), "uri": d.URI, "customer_key": r.CustomerKey,
		"actor_kind": d.ActorKind, "visibility": d.Visibility, "case_id": d.CaseID, "correlation_id": r.Event.Correlation,
		"shard": float64(r.Shard), "seq": float64(r.Seq), "churn_risk": float64(r.Labels.ChurnRisk), "churn_reasons": reasons,
		"response_needed": r.Labels.ResponseNeeded, "rating": optional(r.Scores.Rating), "s5_study": optional(r.Scores.S5[4]),
		"stage": string(r.Labels.Stage), "sentiment_text": string(r.Labels.SentimentText), "rating_disagrees": r.Scores.RatingDisagrees, "stage_confidence": nil,
		"facet_price": optional(r.Scores.Facet[2]), "element_image": optional(r.Scores.Element[2]), "nps": optional(r.Scores.NPS),
		"mention_facet":    lines(func(m *schemas.Mention) any { return string(m.Facet) }),
		"mention_theme":    lines(func(m *schemas.Mention) any { return m.Theme }),
		"mention_polarity": lines(func(m *schemas.Mention) any { return float64(m.Polarity) }),
		"mention_end":      lines(func(m *schemas.Mention) any { return float64(m.End) }),
		"score":            nil, "p_positive": nil, "effort": nil, "value_boolean": nil, "customer_value": nil, "value_number": nil,
	}
	if d.ActorKind == "" {
		out["actor_kind"] = "customer"
	}
	if d.Visibility == "" {
		out["visibility"] = "public"
	}
	if r.Labels.Polarity != "" {
		out["score"], out["p_positive"] = float64(r.Labels.Score), 0.75
	}
	if r.Labels.Stage != "" {
		out["stage_confidence"] = float64(r.Labels.StageConfidence)
	}
	if r.Labels.Effort != 0 {
		out["effort"] = float64(r.Labels.Effort)
	}
	if d.Boolean != nil {
		out["value_boolean"] = *d.Boolean
	}
	if d.CustomerValue != nil {
		out["customer_value"] = *d.CustomerValue
	}
	if d.Number != nil {
		out["value_number"] = *d.Number
	}
	return out
}

func TestQueryWritesAnyFormatAndTakesParameters(t *testing.T) {
	s := open(t)
	insert(t, s, generate(1, 5, 1))
	for _, c := range []struct{ format, statement, want string }{
		{"CSVWithNames", "SELECT seq, {who:String} AS who FROM feedback_current ORDER BY seq LIMIT 2;\n", "\"seq\",\"who\"\n1,\"it's \\\\ me\"\n2,\"it's \\\\ me\"\n"},
		{"JSONEachRow", "SELECT count() AS n FROM feedback_current", "{\"n\":5}\n"},
		{"TSV", "SELECT number FROM numbers({n:UInt8})", "0\n1\n2\n"},
	} {
		var out bytes.Buffer
		if err := s.Query(t.Context(), c.statement, map[string]string{"who": `it's \ me`, "n": "3"}, c.format, &out); err != nil {
			t.Errorf("%s: %v", c.format, err)
		}
		if out.String() != strings.ReplaceAll(c.want, `\\`, `\`) {
			t.Errorf("%s: got %q, want %q", c.format, out.String(), c.want)
		}
	}
	var out bytes.Buffer
	if err := s.Query(t.Context(), "SELECT 1 AS one", nil, "", &out); err != nil || !strings.Contains(out.String(), "one") {
		t.Errorf("without a format: %v, %q", err, out.String())
	}
	if err := s.Query(t.Context(), "SELECT 1", nil, "no such format!", &out); err == nil {
		t.Error("a format that is none was taken")
	}
}
