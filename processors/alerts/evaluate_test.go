package alerts_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/processors/alerts"
	"github.com/earshot/earshot/schemas"
)

const spikeRule = `
rules:
  - alert: Spike
    detector: negative_spike
    by: [channel]
    windows: [15m, 1h]
    keep_firing_for: 10m
    labels: {team: care}
`

// Many tenants, one story each: what must call somebody does, once, and nothing else does.
func TestWhoIsCalledAndWhoIsNot(t *testing.T) {
	w := newWorld(t)
	for _, tenant := range []string{"spike", "author", "surge", "late", "quiet"} {
		w.weeks(tenant, 5)
	}
	w.weeks("young", 0)
	w.crowd("spike", 0, 10, 20, "Crashes since the update, write to me: anna@example.org or +49 170 1234567", schemas.Negative, false)
	w.crowd("author", 0, 10, 50, "Crashes!", schemas.Negative, true)
	w.crowd("surge", 0, 10, 60, "Lovely", schemas.Positive, false)
	w.crowd("surge", 0, 10, 6, "Crashes", schemas.Negative, false)
	w.crowd("late", -26*60, 60, 60, "Crashes", schemas.Negative, false) // happened yesterday, arrives now
	w.crowd("young", 0, 10, 60, "Crashes", schemas.Negative, false)     // connected today
	w.save()
	e, c := w.evaluator(spikeRule), &collector{t: t}
	for minute := 0; minute < 84; minute += 3 {
		c.step(t.Context(), e, minute)
		if minute%15 == 6 { // a new process takes the state up
			e = w.evaluator(spikeRule)
		}
	}
	if len(c.seen) != 2 || !strings.HasSuffix(c.seen[0], "spike raised") || !strings.HasSuffix(c.seen[1], "spike resolved") {
		t.Fatalf("told %q, want one beginning and one end for spike", c.seen)
	}
	a := c.last["spike"]
	if a.Customers < 5 || a.TopTheme != "crash-or-bug" || len(a.Quotes) != 3 || a.Cell["channel"] != "app" || a.Labels["team"] != "care" ||
		a.Expected <= 0 || a.Probability > 1e-5 || a.Since.Before(noon.Add(-time.Hour)) || a.Links["query"] == "" || a.Links["dashboard"] == "" {
		t.Errorf("the alert lacks something: %+v", a)
	}
	for _, q := range a.Quotes {
		if strings.Contains(q.Text, "anna") || strings.Contains(q.Text, "170") {
			t.Errorf("a quote is not redacted: %q", q.Text)
		}
	}
	w.announced("insight.spike.app.alert_raised", "insight.spike.app.alert_resolved")
}

// A rule that counts all channels together calls nobody because a channel is connected, or because the worse of two channels
// speaks more; and one author in two channels is one.
func TestChannelsAreToldApartInsideACell(t *testing.T) {
	w := newWorld(t)
	rnd := rand.New(rand.NewPCG(1, 18))
	talk := func(tenant, channel string, from, to time.Time, every time.Duration, bad int) { // one of bad is negative
		for i, at := 0, from; at.Before(to); i, at = i+1, at.Add(every) {
			p := schemas.Positive
			if rnd.IntN(bad) == 0 {
				p = schemas.Negative
			}
			w.say(at, tenant, fmt.Sprint(tenant, channel, from.Unix(), i), "as always", p)
			w.rows[len(w.rows)-1].Event.Data.Channel = channel
			w.rows[len(w.rows)-1].Seal(nil)
		}
	}
	start := noon.Add(-5 * 7 * 24 * time.Hour)
	for _, tenant := range []string{"mixed", "joined", "author"} {
		talk(tenant, "app", start, noon.Add(time.Hour), 30*time.Minute, 20)
	}
	talk("mixed", "social", start, noon, time.Hour, 2)
	talk("mixed", "social", noon, noon.Add(time.Hour), time.Minute, 2)  // sixty times as many, no worse
	talk("joined", "social", noon, noon.Add(time.Hour), time.Minute, 1) // connected now, all of it negative
	talk("author", "social", start, noon, time.Hour, 2)                 // and then three people in both channels
	for i := range 3 {
		for _, channel := range []string{"app", "social"} {
			w.say(noon.Add(time.Duration(i)*time.Minute), "author", fmt.Sprint("both", i), "Crashes", schemas.Negative)
			w.rows[len(w.rows)-1].Event.Data.Channel = channel
			w.rows[len(w.rows)-1].Seal(nil)
		}
	}
	w.save()
	const rule = "rules: [{alert: Spike, detector: negative_spike, windows: [15m, 1h], false_alarms_per_week: 1000}]"
	e, c := w.evaluator(rule), &collector{t: t}
	for minute := 1; minute < 70; minute += 4 {
		c.step(t.Context(), e, minute)
	}
	if len(c.seen) > 0 {
		t.Errorf("told %q", c.seen)
	}
	rules, err := alerts.ParseRules("test", []byte(rule))
	if err != nil {
		t.Fatal(err)
	}
	got, err := alerts.Replay(t.Context(), w.store, &rules[0], noon.Add(-time.Hour), noon.Add(time.Hour), time.Minute, nil)
	if err != nil || len(got.Alerts) > 0 || got.Cells != 3 {
		t.Errorf("replayed %+v, %v", got, err)
	}
}

// A window that takes long to count is counted less often, so that the others are not late.
func TestSlowCountsAreMadeLessOften(t *testing.T) {
	w := newWorld(t)
	w.say(noon, "acme", "c1", "my lawyer", schemas.Neutral)
	w.save()
	rules, err := alerts.ParseRules("test", []byte("rules: [{alert: Lawyer, detector: threshold, windows: [1m], where: {words: [lawyer]}}]"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		takes time.Duration
		least int // seconds until what was said at noon is found
		most  int
	}{{0, 1, 2}, {500 * time.Millisecond, 3, 4}} {
		var clock time.Time
		e := alerts.New(alerts.Config{Rules: rules, Owner: fmt.Sprint(c.takes), Store: w.store, Journal: w.journal(), Takeover: time.Nanosecond,
			Clock: func() time.Time { clock = clock.Add(c.takes); return clock }})
		for second := -1; ; second++ { // the first count finds nothing yet
			r, err := e.Step(t.Context(), noon.Add(time.Duration(second)*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Changes) > 0 || second > 20 {
				if waited := second + 1; waited < c.least || waited > c.most {
					t.Errorf("a count of %v: found after %d seconds, want %d to %d", c.takes, waited, c.least, c.most)
				}
				break
			}
		}
		if err := alerts.Edit(t.Context(), w.journal(), func(s *alerts.State) error { *s = *alerts.NewState(); return nil }); err != nil {
			t.Fatal(err)
		}
	}
}

// A new classification of what was said raises nothing by itself.
func TestReclassificationCallsNobody(t *testing.T) {
	w := newWorld(t)
	w.weeks("acme", 5)
	w.crowd("acme", 0, 10, 20, "Fine", schemas.Positive, false)
	rows := slices.Clone(w.rows)
	w.save()
	e, c := w.evaluator(spikeRule), &collector{t: t}
	c.step(t.Context(), e, 10)
	for i := range rows {
		rows[i].Generation = 2
		if rows[i].Event.Time.After(noon.Add(-time.Minute)) {
			rows[i].Labels.Polarity = schemas.Negative
		}
		rows[i].Seal(nil)
	}
	w.rows = rows
	w.save()
	if err := w.store.SetLive(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	for minute := 11; minute < 90; minute += 4 {
		c.step(t.Context(), e, minute)
	}
	if len(c.seen) > 0 {
		t.Errorf("told %q", c.seen)
	}
}

// Rules that need no history: single events by word and theme, and a named query.
func TestRulesWithoutHistory(t *testing.T) {
	w := newWorld(t)
	w.say(noon, "acme", "c1", `I'll tell my lawyer \ today`, schemas.Neutral)
	w.crowd("acme", 0, 5, 3, "Crashes", schemas.Negative, false)
	w.save()
	e, c := w.evaluator(`
rules:
  - alert: Lawyer
    detector: threshold
    where: {words: ["i'll tell MY lawyer \\ t", "never said"]}
  - alert: NotSaid
    detector: threshold
    where: {words: ["no such word"]}
  - alert: Crashes
    detector: threshold
    by: [theme]
    limit: 3
    where: {theme: [crash-or-bug], channel: [app]}
  - alert: TooMany
    detector: query
    query: worst_themes
    by: [theme]
    column: unhappy_customers
    limit: 2
    params: {tenant: acme}
  - alert: Few
    detector: query
    query: worst_themes
    column: unhappy_customers
    limit: 4
`), &collector{t: t}
	c.step(t.Context(), e, 6)
	slices.Sort(c.seen)
	want := []string{"6 Crashes acme raised", "6 Lawyer acme raised", "6 TooMany acme raised"}
	if !slices.Equal(c.seen, want) {
		t.Errorf("told %q, want %q", c.seen, want)
	}
	e = w.evaluator("rules: [{alert: Broken, detector: query, query: worst_themes, column: no_such_column}]")
	if _, err := e.Step(t.Context(), noon.Add(7*time.Minute)); err == nil || !strings.Contains(err.Error(), "no_such_column") {
		t.Errorf("a column that is not there: %v", err)
	}
}

// A replay of what was evaluated live finds the same alert, and no other.
func TestReplayFindsWhatWasRaisedLive(t *testing.T) {
	w := newWorld(t)
	for _, tenant := range []string{"spike", "surge"} {
		w.weeks(tenant, 5)
	}
	w.crowd("spike", 0, 10, 20, "Crashes", schemas.Negative, false)
	w.crowd("surge", 0, 10, 60, "Lovely", schemas.Positive, false)
	w.save()
	e, c := w.evaluator(spikeRule), &collector{t: t}
	for minute := 0; minute < 90; minute += 2 {
		c.step(t.Context(), e, minute)
	}
	rules, err := alerts.ParseRules("test", []byte(spikeRule))
	if err != nil {
		t.Fatal(err)
	}
	result, err := alerts.Replay(t.Context(), w.store, &rules[0], noon.Add(-48*time.Hour), noon.Add(90*time.Minute), 2*time.Minute, nil)
	if err != nil || len(result.Alerts) != 1 || len(c.seen) != 2 {
		t.Fatalf("replayed %+v, %v; live %q", result, err, c.seen)
	}
	got := result.Alerts
	if result.Reasons[alerts.VolumeOnly] == 0 && result.Reasons[alerts.BelowFloor] == 0 || result.Said == 0 || got[0].TopTheme != "crash-or-bug" || !result.First.Equal(noon.Add(-5*7*24*time.Hour)) {
		t.Errorf("what the replay says besides: %+v", result)
	}
	if raised := fmt.Sprintf("%.0f Spike spike raised", got[0].RaisedAt.Sub(noon).Minutes()); c.seen[0] != raised || !got[0].Resolved() {
		t.Errorf("replayed %q (over %v); live %q", raised, got[0].Resolved(), c.seen)
	}
	for _, detector := range []alerts.Detector{alerts.DetectSLA, alerts.DetectQuery} {
		if _, err := alerts.Replay(t.Context(), w.store, &alerts.Rule{Detector: detector}, noon, noon, time.Minute, nil); err == nil {
			t.Errorf("%s was replayed", detector)
		}
	}
}
