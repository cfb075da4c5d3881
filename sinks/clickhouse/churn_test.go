package clickhouse_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// named runs a named query and returns its rows.
func named(t testing.TB, s *clickhouse.Store, name string, params map[string]string) []map[string]any {
	t.Helper()
	q, err := sql.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := s.Named(t.Context(), q, params, "JSONEachRow", &out); err != nil {
		t.Fatal(err)
	}
	return decode(t, &out)
}

// historyEnd is the end of the last hour heard of in every history.
var historyEnd = time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)

// churnScore is the oracle's score of one customer at one moment.
type churnScore struct {
	events                                                              int
	words, mood, trend, waiting, double, effort, silence, retained, sum float64
	reasons                                                             []string
	left                                                                bool
}

func (c *churnScore) risk() float64 { return 1 / (1 + math.Exp(-c.sum)) }

func (c *churnScore) band() string {
	switch r := c.risk(); {
	case r < 0.1:
		return "low"
	case r < 0.25:
		return "raised"
	case r < 0.5:
		return "high"
	}
	return "very high"
}

func clamp(x float64) float64 { return math.Max(0, math.Min(1, x)) }

// plain writes a number rounded to so many places, as people do.
func plain(x float64, places int) string {
	p := math.Pow10(places)
	return strconv.FormatFloat(math.RoundToEven(x*p)/p, 'f', -1, 64)
}

func contact(r *schemas.Row) bool {
	return said(r) && slices.Contains([]schemas.Kind{schemas.FeedbackReceived, schemas.RatingSubmitted, schemas.MessagePosted, schemas.ReviewPublished,
		schemas.MentionSeen, schemas.CaseOpened, schemas.CaseReopened, schemas.DecisionAnswered, schemas.FollowupRated}, r.Event.Kind)
}

func threadsOf(r *schemas.Row) []string {
	return []string{r.Event.Data.CaseID, r.Event.Data.ConversationID, r.Event.Correlation}
}

func answered(r *schemas.Row) bool {
	d := &r.Event.Data
	switch r.Event.Kind {
	case schemas.CaseResolved, schemas.CustomerInformed:
		return true
	case schemas.AgentResponded, schemas.MessagePosted:
		return d.ActorKind == "agent" && d.Visibility != "internal"
	}
	return false
}

// knownAt is since when the score of a moment knows of an event: since it was received, but the score of now knows all that is
// stored.
func knownAt(r *schemas.Row, at time.Time) time.Time {
	if at.Before(historyEnd) && r.ReceivedAt.After(r.Event.Time) {
		return r.ReceivedAt
	}
	return r.Event.Time
}

// waitingSince is when the oldest question that has no answer at the moment was asked; zero: none.
func waitingSince(rows []schemas.Row, of []*schemas.Row, at time.Time) (since time.Time) {
	for _, r := range of {
		if !r.Labels.ResponseNeeded || !said(r) || !knownAt(r, at).Before(at) || r.Event.Time.Before(at.Add(-90*day)) {
			continue
		}
		open := true
		for _, thread := range threadsOf(r) {
			var first, known time.Time
			for i := range rows {
				a := &rows[i]
				if thread == "" || a.Event.Tenant != r.Event.Tenant || !answered(a) || a.Event.Time.Before(r.Event.Time) || !slices.Contains(threadsOf(a), thread) {
					continue
				}
				if first.IsZero() || a.Event.Time.Before(first) || a.Event.Time.Equal(first) && knownAt(a, at).Before(known) {
					first, known = a.Event.Time, knownAt(a, at)
				}
			}
			open = open && (first.IsZero() || !known.Before(at))
		}
		if open && (since.IsZero() || r.Event.Time.Before(since)) {
			since = r.Event.Time
		}
	}
	return since
}

// scoreCustomer scores one customer at one moment; ok is false for one who is not scored.
func scoreCustomer(rows []schemas.Row, of []*schemas.Row, at time.Time) (c churnScore, ok bool) {
	var values, weights, weighted float64
	var first, last, firstFailure, lastFailure, retained, left time.Time
	var n, failures, hardest int
	var word string
	days := map[string]bool{}
	for _, r := range of {
		when := r.Event.Time
		age := when.Sub(at).Hours() / 24
		if r.Event.Kind == schemas.CustomerChurned && !when.Before(at) && when.Before(historyEnd) {
			c.left = true
		}
		if !when.Before(at) || !knownAt(r, at).Before(at) || when.Before(at.Add(-90*day)) {
			continue
		}
		if r.Event.Kind == schemas.CustomerRetained && when.After(retained) {
			retained = when
		}
		if r.Event.Kind == schemas.CustomerChurned && when.After(left) {
			left = when
		}
		if !contact(r) {
			continue
		}
		c.events++
		days[when.Format(time.DateOnly)] = true
		if first.IsZero() || when.Before(first) {
			first = when
		}
		if when.After(last) {
			last = when
		}
		reason := ""
		if len(r.Labels.ChurnReasons) > 0 {
			reason = r.Labels.ChurnReasons[0]
		}
		if w := float64(r.Labels.ChurnRisk) * math.Exp2(age/45); w > c.words || w == c.words && reason > word {
			c.words, word = w, reason
		}
		if v := r.Scores.Rating; v.Valid || r.Labels.Polarity != "" {
			x := float64(v.Value)
			if !v.Valid {
				x = float64(r.Labels.Score)
			}
			n++
			values += x
			weighted += x * math.Exp2(age/14)
			weights += math.Exp2(age / 14)
		}
		hardest = min(hardest, int(r.Labels.Effort))
		if age >= -30 && (r.Labels.Intent == schemas.Complaint || r.Labels.Intent == schemas.ChurnNotice || r.Scores.Rating.Valid && r.Scores.Rating.Value < 0 || r.Event.Kind == schemas.CaseReopened) {
			failures++
			if firstFailure.IsZero() || when.Before(firstFailure) {
				firstFailure = when
			}
			if when.After(lastFailure) {
				lastFailure = when
			}
		}
	}
	if c.events == 0 || !left.IsZero() && left.After(retained) {
		return c, false
	}
	var recent, mean, waited, gap float64
	if n > 0 {
		recent, mean = weighted/weights, values/float64(n)
		c.mood = clamp(-recent)
	}
	if n >= 3 {
		c.trend = clamp(mean - recent)
	}
	if since := waitingSince(rows, of, at); !since.IsZero() {
		waited = at.Sub(since).Hours() / 24
	}
	c.waiting = math.Min(1, waited/7)
	if failures >= 2 && lastFailure.Sub(firstFailure) >= day {
		c.double = 1
	}
	c.effort = clamp(float64(-hardest) / 5)
	quiet := at.Sub(last).Hours() / 24
	if len(days) >= 2 {
		gap = math.Max(1, last.Sub(first).Hours()/24/float64(len(days)-1))
	}
	if len(days) >= 4 {
		c.silence = clamp((quiet/gap - 2) / 2)
	}
	if !retained.IsZero() {
		c.retained = math.Exp2(-at.Sub(retained).Hours() / 24 / 45)
	}
	c.sum = -4
	type part struct {
		adds float64
		why  string
	}
	if word == "" {
		word = "no single reason"
	}
	plural := "s"
	if n == 1 {
		plural = ""
	}
	parts := []part{
		{4 * c.words, "words: " + word}, {c.mood, "mood " + plain(recent, 2) + " over " + fmt.Sprint(n) + " event" + plural},
		{1.5 * c.trend, "mood falls from " + plain(mean, 2) + " to " + plain(recent, 2)}, {c.waiting, "waits " + plain(waited, 1) + " days for an answer"},
		{c.double, fmt.Sprint(failures, " failures in 30 days")}, {0.5 * c.effort, fmt.Sprint("effort ", hardest)},
		{1.5 * c.silence, "silent " + plain(quiet, 1) + " days, usual gap " + plain(gap, 1)}, {-2 * c.retained, "was retained"},
	}
	for _, p := range parts {
		c.sum += p.adds
	}
	sort.Slice(parts, func(i, j int) bool {
		a, b := parts[i], parts[j]
		return math.Abs(a.adds) > math.Abs(b.adds) || math.Abs(a.adds) == math.Abs(b.adds) && a.why > b.why
	})
	for _, p := range parts {
		if math.Abs(p.adds) >= 0.05 {
			sign := "+"
			if p.adds < 0 {
				sign = ""
			}
			c.reasons = append(c.reasons, p.why+" ("+sign+plain(p.adds, 1)+")")
		}
	}
	return c, true
}

// churnScores are the oracle's scores at one moment, by "tenant customer".
func churnScores(rows []schemas.Row, at time.Time) map[string]churnScore {
	of := map[string][]*schemas.Row{}
	for i := range rows {
		if rows[i].CustomerKey != "" {
			of[who(&rows[i])] = append(of[who(&rows[i])], &rows[i])
		}
	}
	out := map[string]churnScore{}
	for name, list := range of {
		if c, ok := scoreCustomer(rows, list, at); ok {
			out[name] = c
		}
	}
	return out
}

func TestChurnScoresMatchTheOracle(t *testing.T) {
	for seed := range uint64(2) {
		s := open(t)
		rows := history(seed, 1800, historyEnd)
		store(t, s, rows)
		then := historyEnd.Add(-30 * day)
		want := map[bool]map[string]churnScore{true: churnScores(rows, historyEnd), false: churnScores(rows, then)}
		got := ask(t, s, "SELECT *, toUnixTimestamp(as_of) AS at FROM churn_scores")
		if len(got) != len(want[true])+len(want[false]) || len(want[false]) < 50 {
			t.Errorf("seed %d: %d rows, want %d and %d", seed, len(got), len(want[true]), len(want[false]))
		}
		for _, row := range got {
			name, latest := fmt.Sprint(row["tenant"], " ", row["customer_key"]), row["latest"].(bool)
			c, ok := want[latest][name]
			what := fmt.Sprintf("seed %d, %s, latest %v", seed, name, latest)
			if !ok {
				t.Errorf("%s: is scored, but should not be", what)
				continue
			}
			for column, x := range map[string]float64{"risk": c.risk(), "sum": c.sum, "words": c.words, "mood": c.mood, "trend": c.trend, "waiting": c.waiting,
				"double": c.double, "effort": c.effort, "silence": c.silence, "retained": c.retained, "events": float64(c.events)} {
				closeTo(t, what+" "+column, row[column], x)
			}
			same(t, what+" band", row["band"], c.band())
			same(t, what+" reasons", row["reasons"], c.reasons)
			if latest {
				same(t, what+" churned", row["churned"], nil)
			} else {
				same(t, what+" churned", row["churned"], c.left)
			}
		}
		checkCalibration(t, s, want)
	}
}

// checkCalibration compares what became of each band with a count over the oracle's scores.
func checkCalibration(t *testing.T, s *clickhouse.Store, want map[bool]map[string]churnScore) {
	t.Helper()
	type tally struct{ now, scored, left, predicted float64 }
	tallies, leftOf, scoredOf := map[string]*tally{}, map[string]float64{}, map[string]float64{}
	for latest, scores := range want {
		for name, c := range scores {
			tenant := name[:slices.Index([]byte(name), ' ')]
			k := tenant + " " + c.band()
			if tallies[k] == nil {
				tallies[k] = &tally{}
			}
			if latest {
				tallies[k].now++
				continue
			}
			tallies[k].scored++
			tallies[k].predicted += 100 * c.risk()
			scoredOf[tenant]++
			if c.left {
				tallies[k].left++
				leftOf[tenant]++
			}
		}
	}
	got := named(t, s, "churn_calibration", nil)
	if len(got) != len(tallies) {
		t.Errorf("%d bands, want %d", len(got), len(tallies))
	}
	for _, row := range got {
		k := fmt.Sprint(row["tenant"], " ", row["band"])
		w := tallies[k]
		closeTo(t, k+" now", row["now_in_band"], w.now)
		closeTo(t, k+" scored", row["scored"], w.scored)
		closeTo(t, k+" left", row["left"], w.left)
		low, high := wilson(w.left, w.scored)
		observed := 100 * w.left / w.scored
		if leftOf[row["tenant"].(string)] == 0 {
			low, high, observed = math.NaN(), math.NaN(), math.NaN()
		}
		for column, x := range map[string]float64{"predicted": w.predicted / w.scored, "observed": observed, "observed_low": low, "observed_high": high} {
			if g, ok := row[column].(float64); ok != !math.IsNaN(x) || ok && math.Abs(g-x) > 0.00501 {
				t.Errorf("%s %s: got %v, want %.2f", k, column, row[column], x)
			}
		}
	}
	for _, row := range ask(t, s, "SELECT * FROM customer_risk") {
		tenant := row["tenant"].(string)
		w := tallies[fmt.Sprint(tenant, " ", row["band"])]
		low, high := wilson(w.left, w.scored)
		if leftOf[tenant] == 0 {
			low, high = math.NaN(), math.NaN()
		}
		closeTo(t, tenant+" band_low", row["band_low"], low)
		closeTo(t, tenant+" band_high", row["band_high"], high)
		if yes := row["validated"] == "yes"; yes != (w.scored >= 20 && leftOf[tenant] >= 10 && w.predicted/w.scored >= low && w.predicted/w.scored <= high) {
			t.Errorf("%s %s: validated is %v with %v of %v left, predicted %v, %v in all", tenant, row["band"], row["validated"], w.left, w.scored, w.predicted/w.scored, leftOf[tenant])
		}
	}
}

// What happened or became known after a moment must not change the score of that moment, or the validation would be told
// what it is to predict.
func TestChurnScoresDoNotKnowTheFuture(t *testing.T) {
	s := open(t)
	then := historyEnd.Add(-30 * day)
	rows := history(9, 800, historyEnd)
	store(t, s, rows)
	const question = "SELECT tenant, customer_key, as_of, round(sum, 9), events, reasons, first_seen, last_seen FROM churn_scores WHERE NOT latest ORDER BY tenant, customer_key"
	before, nowBefore := text(t, s, question), text(t, s, "SELECT sum(risk) FROM churn_scores WHERE latest")
	later := history(10, 800, historyEnd)
	for i := range later {
		r := &later[i]
		r.Seq += 10000
		r.Event.ID, r.Generation = fmt.Sprint("later ", i), 1
		switch {
		case i%2 == 0: // happened before, heard of later
			r.ReceivedAt = then.Add(time.Duration(i) * 30 * time.Minute)
		default: // happened later
			r.Event.Time = then.Add(time.Duration(i) * 30 * time.Minute)
			r.ReceivedAt = r.Event.Time
		}
		r.ID = r.Event.Identity()
		r.Seal(nil)
	}
	store(t, s, later)
	if after := text(t, s, question); after != before || before == "" {
		t.Errorf("the scores of 30 days ago changed (%d and %d bytes)", len(before), len(after))
	}
	if text(t, s, "SELECT sum(risk) FROM churn_scores WHERE latest") == nowBefore {
		t.Error("the later events change nothing at all, so they prove nothing")
	}
}
