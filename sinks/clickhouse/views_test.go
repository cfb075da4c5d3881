package clickhouse_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// ask runs a statement and returns its rows.
func ask(t testing.TB, s *clickhouse.Store, statement string) []map[string]any {
	t.Helper()
	var out bytes.Buffer
	if err := s.Query(t.Context(), statement, nil, "JSONEachRow", &out); err != nil {
		t.Fatal(err)
	}
	return decode(t, &out)
}

func decode(t testing.TB, out *bytes.Buffer) []map[string]any {
	t.Helper()
	var rows []map[string]any
	for dec := json.NewDecoder(out); dec.More(); {
		var row map[string]any
		if err := dec.Decode(&row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// text is the plain result of a statement.
func text(t testing.TB, s *clickhouse.Store, statement string) string {
	t.Helper()
	var out bytes.Buffer
	if err := s.Query(t.Context(), statement, nil, "TSVRaw", &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func merge(t testing.TB, s *clickhouse.Store) {
	t.Helper()
	if err := clickhouse.Exec(t.Context(), s, "OPTIMIZE TABLE feedback FINAL"); err != nil {
		t.Fatal(err)
	}
}

// Every figure that the projection keeps is compared with the same figure from the rows, before and after merges and
// after a deletion: not nearly equal, equal.
func TestProjectionEqualsTheRows(t *testing.T) {
	s := open(t)
	rows := generate(3, 3000, 1)
	for lo := 0; lo < len(rows); lo += 700 {
		insert(t, s, rows[lo:min(lo+700, len(rows))])
	}
	const hourly = "SELECT * FROM satisfaction_hourly ORDER BY ALL SETTINGS optimize_use_projections = %d"
	compare := func(when string) {
		t.Helper()
		projected, raw := text(t, s, fmt.Sprintf(hourly, 1)), text(t, s, fmt.Sprintf(hourly, 0))
		if projected == "" || projected != raw {
			t.Errorf("%s: the projection differs from the rows (%d and %d bytes)", when, len(projected), len(raw))
		}
	}
	compare("fresh")
	merge(t, s)
	compare("after a merge")
	before := text(t, s, fmt.Sprintf(hourly, 0))
	if err := clickhouse.Exec(t.Context(), s, "DELETE FROM feedback WHERE customer_key = 'k7'"); err != nil {
		t.Fatal(err)
	}
	compare("after a deletion")
	if text(t, s, fmt.Sprintf(hourly, 0)) == before {
		t.Error("the deletion changed nothing, so it proves nothing")
	}
	merge(t, s)
	compare("after a deletion and a merge")
}

// countsPeople names the queries that count different customers or look at each answer.
var countsPeople = []string{"worst_themes", "churn_risk", "churn_calibration", "needs", "themes", "silent_customers", "impact", "importance_performance", "kano"}

// The views are only fast while the optimiser finds their aggregates in the projection.
func TestViewsReadTheProjection(t *testing.T) {
	s := open(t)
	insert(t, s, generate(4, 500, 1))
	for _, view := range []string{"satisfaction_hourly", "satisfaction_daily", "satisfaction_by_element", "satisfaction_by_facet", "satisfaction_by_s5", "nps", "ces"} {
		plan := text(t, s, "EXPLAIN SELECT * FROM "+view+" WHERE tenant = 'acme'")
		if !strings.Contains(plan, "ReadFromMergeTree (hourly)") {
			t.Errorf("%s does not read the projection:\n%s", view, plan)
		}
	}
	const projection, rows = "ReadFromMergeTree (hourly)", "ReadFromMergeTree ("
	for _, c := range []struct {
		query, by, split, of, tz string
		projection, rows         int // how often the plan reads the one, and either
	}{
		{query: "satisfaction_by_element", projection: 1, rows: 1},
		{query: "satisfaction_by_facet", projection: 1, rows: 1},
		{query: "satisfaction_by_s5", projection: 1, rows: 1},
		{query: "volume_by_hour", projection: 1, rows: 1},
		{query: "nps", by: "week", projection: 1, rows: 1},
		{query: "nps", by: "hour", split: "channel", projection: 1, rows: 1},
		{query: "nps", by: "minute", rows: 1},
		{query: "nps", by: "week", split: "product", rows: 1},
		{query: "nps", by: "week", tz: "Asia/Kolkata", rows: 1}, // its hours begin at half past
		{query: "ces", by: "week", projection: 1, rows: 1},
		{query: "net_sentiment", by: "week", of: "text", projection: 1, rows: 1},
		{query: "net_sentiment", by: "week", of: "facet", rows: 1},                       // the sign of a score is not in the projection
		{query: "satisfaction_index", by: "week", of: "element", projection: 1, rows: 2}, // and the rows for the weights
		{query: "satisfaction_index", by: "week", of: "facet", projection: 1, rows: 2},   // which are asked for nothing
		{query: "figures_over_time", by: "day", projection: 1, rows: 2},                  // and the rows for csat: scales are not in the projection
		{query: "speed_gap", by: "week", split: "channel", projection: 1, rows: 2},       // and the rows of conversations
		{query: "five_s", by: "week", projection: 1, rows: 5},                            // and those of people's doings
	} {
		q, err := sql.Find(c.query)
		if err != nil {
			t.Fatal(err)
		}
		q.SQL = "EXPLAIN " + q.SQL
		params := map[string]string{"tenant": "acme", "from": "2026-11-03 01:00:00"}
		for name, value := range map[string]string{"by": c.by, "split": c.split, "of": c.of, "tz": c.tz} {
			if value != "" {
				params[name] = value
			}
		}
		var out bytes.Buffer
		if err := s.Named(t.Context(), q, params, "TSVRaw", &out); err != nil {
			t.Fatal(err)
		}
		if p, r := strings.Count(out.String(), projection), strings.Count(out.String(), rows); p != c.projection || r != c.rows {
			t.Errorf("query %s %v reads the projection %d times of %d, want %d of %d:\n%s", c.query, params, p, r, c.projection, c.rows, out.String())
		}
	}
}

// A setting in a query's header is for speed: it arrives at the server, and the answer is the same without it.
func TestSettingsOfQueriesChangeNoAnswer(t *testing.T) {
	s := open(t)
	insert(t, s, generate(4, 500, 1))
	named := func(q sql.Query, params map[string]string) string {
		t.Helper()
		var out bytes.Buffer
		if err := s.Named(t.Context(), q, params, "TSVRaw", &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := named(sql.Query{SQL: "SELECT getSetting('max_block_size')", Settings: map[string]string{"max_block_size": "123"}}, nil); got != "123\n" {
		t.Errorf("the server has max_block_size %q, want 123", got)
	}
	tried := 0
	for _, q := range sql.Queries() {
		if q.Settings == nil {
			continue
		}
		tried++
		params := map[string]string{"tenant": "acme", "by": "day"}
		if !slices.ContainsFunc(q.Params, func(p sql.Param) bool { return p.Name == "by" }) {
			delete(params, "by")
		}
		with := named(q, params)
		q.Settings = nil
		if without := named(q, params); with != without || with == "" {
			t.Errorf("%s answers\n%swith its settings, without them\n%s", q.Name, with, without)
		}
	}
	if tried == 0 {
		t.Error("no query has a setting")
	}
}

// What counts people reads the rows, but of its own span of time only: the hours are found by the primary key.
func TestCountingPeopleReadsItsSpanOnly(t *testing.T) {
	s := open(t)
	insert(t, s, generate(4, 500, 1))
	for _, name := range countsPeople[1:] {
		q, err := sql.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		params := map[string]string{"tenant": "acme"}
		if strings.Contains(q.SQL, "{from:DateTime}") {
			params["from"] = "2026-11-03 01:00:00"
		}
		q.SQL = "EXPLAIN indexes = 1 " + q.SQL
		var out bytes.Buffer
		if err := s.Named(t.Context(), q, params, "TSVRaw", &out); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, key := range strings.Split(out.String(), "PrimaryKey")[1:] {
			key, _, _ = strings.Cut(key, "Condition")
			found = found || strings.Contains(key, "toStartOfHour(occurred_at)")
		}
		if !found {
			t.Errorf("%s: the hour is not looked up by the primary key:\n%s", name, out.String())
		}
	}
}

// Who names no span of time is answered from the last 90 days, and no more is read of the rows, or of the hourly sums.
func TestDefaultsReadTheirSpanOnly(t *testing.T) {
	s := open(t)
	insert(t, s, generate(4, 500, 1))
	for _, name := range []string{"csat", "nps", "ces", "net_sentiment", "figures_over_time", "satisfaction_by_element", "worst_themes", "feedback_latest",
		"volume_by_hour", "needs", "themes", "silent_customers", "impact", "due", "response_time", "sla", "loop"} {
		q, err := sql.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		q.SQL = "EXPLAIN indexes = 1 " + q.SQL
		var out bytes.Buffer
		if err := s.Named(t.Context(), q, map[string]string{"tenant": "acme"}, "TSVRaw", &out); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, key := range strings.Split(out.String(), "PrimaryKey")[1:] {
			key, _, _ = strings.Cut(key, "Condition")
			found = found || strings.Contains(key, "toStartOfHour(occurred_at)")
		}
		if !found {
			t.Errorf("%s: the hour is not looked up by the primary key:\n%s", name, out.String())
		}
	}
}

// What alerts count every second is found by the primary key: the hours of the window are read, not the past.
func TestAlertWindowsReadTheirHoursOnly(t *testing.T) {
	s := open(t)
	insert(t, s, generate(4, 500, 1))
	for _, feed := range []string{"alert_feed", "alert_feed_mentions"} {
		q, err := sql.Find("alert_window")
		if err != nil {
			t.Fatal(err)
		}
		q.SQL = "EXPLAIN indexes = 1 " + q.SQL
		var out bytes.Buffer
		if err := s.Named(t.Context(), q, map[string]string{"feed": feed, "from": "2026-11-03 01:00:00", "to": "2026-11-03 01:15:00"}, "TSVRaw", &out); err != nil {
			t.Fatal(err)
		}
		_, key, _ := strings.Cut(out.String(), "PrimaryKey")
		if key, _, _ = strings.Cut(key, "Skip"); !strings.Contains(key, "toStartOfHour(occurred_at)") {
			t.Errorf("%s: the hour is not looked up by the primary key:\n%s", feed, out.String())
		}
	}
}

const z = 1.959964

// sums are the three sums an index follows from.
type sums struct{ n, sum, squares float64 }

func (s *sums) add(x schemas.Score) {
	if x.Valid {
		s.n++
		s.sum += float64(x.Value)
		s.squares += float64(x.Value) * float64(x.Value)
	}
}

// satisfaction is the index and its interval, computed by the textbook: mean and variance over scores and
// pseudo-observations one by one.
func (s sums) satisfaction() (index, low, high float64) {
	const prior, variance = 20.0, 1.0 / 3
	total := s.n + prior
	mean := s.sum / total
	v := (s.squares+prior*variance)/total - mean*mean
	half := z * math.Sqrt(v/total)
	return 50 * (1 + mean), math.Max(0, 50*(1+mean-half)), math.Min(100, 50*(1+mean+half))
}

func near(t *testing.T, what string, got any, want float64) {
	t.Helper()
	if g, ok := got.(float64); !ok || math.Abs(g-want) > 1e-9 {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func fromCustomer(r *schemas.Row) bool { return r.Event.Data.ActorKind != "agent" }

func TestSatisfactionViewsMatchTheOracle(t *testing.T) {
	s := open(t)
	rows := generate(5, 800, 1)
	insert(t, s, rows)
	type axisView struct {
		view, column string
		names        []string
		score        func(r *schemas.Row, i int) schemas.Score
	}
	views := []axisView{
		{"satisfaction_by_element", "element", namesOf(schemas.Elements()), func(r *schemas.Row, i int) schemas.Score { return r.Scores.Element[i] }},
		{"satisfaction_by_facet", "facet", namesOf(schemas.Facets()), func(r *schemas.Row, i int) schemas.Score { return r.Scores.Facet[i] }},
		{"satisfaction_by_s5", "s5", namesOf(schemas.Virtues()), func(r *schemas.Row, i int) schemas.Score { return r.Scores.S5[i] }},
	}
	for _, v := range views {
		got := ask(t, s, "SELECT * FROM "+v.view)
		if len(got) != 2*len(v.names) {
			t.Errorf("%s has %d rows, want one for each of 2 tenants and %d parts", v.view, len(got), len(v.names))
		}
		for _, row := range got {
			var want sums
			i := indexOf(v.names, row[v.column].(string))
			for j := range rows {
				if rows[j].Event.Tenant == row["tenant"] && fromCustomer(&rows[j]) {
					want.add(v.score(&rows[j], i))
				}
			}
			what := fmt.Sprintf("%s of %s %s", v.view, row["tenant"], row[v.column])
			if v.column == "facet" && row["element"] != string(schemas.Facet(row["facet"].(string)).Element()) {
				t.Errorf("%s: element %s", what, row["element"])
			}
			index, low, high := want.satisfaction()
			near(t, what+" n", row["n"], want.n)
			near(t, what+" mean", row["mean"], want.sum/want.n)
			near(t, what, row["satisfaction"], index)
			near(t, what+" low", row["satisfaction_low"], low)
			near(t, what+" high", row["satisfaction_high"], high)
		}
	}
	days := ask(t, s, "SELECT * FROM satisfaction_daily")
	if len(days) != 2*3*3 {
		t.Errorf("satisfaction_daily has %d rows, want 18: 2 tenants, 3 channels, 3 days", len(days))
	}
	for _, day := range days {
		var service, score sums
		var events float64
		for j := range rows {
			r := &rows[j]
			if r.Event.Tenant == day["tenant"] && r.Event.Data.Channel == day["channel"] && r.Event.Time.Format("2006-01-02") == day["day"] && fromCustomer(r) {
				events++
				service.add(r.Scores.Element[1])
				score.add(schemas.Score{Value: r.Labels.Score, Valid: r.Labels.Polarity != ""})
			}
		}
		what := fmt.Sprintf("day %s of %s on %s", day["day"], day["tenant"], day["channel"])
		index, low, _ := service.satisfaction()
		near(t, what+" events", day["events"], events)
		near(t, what+" service", day["service_index"], index)
		near(t, what+" service low", day["service_low"], low)
		index, _, high := score.satisfaction()
		near(t, what+" sentiment", day["sentiment_index"], index)
		near(t, what+" sentiment high", day["sentiment_high"], high)
	}
}

func namesOf[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

func indexOf(list []string, s string) int {
	for i := range list {
		if list[i] == s {
			return i
		}
	}
	return -1
}
