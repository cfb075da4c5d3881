package alerts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/earshot/earshot/ingest/broker"
	"github.com/earshot/earshot/ingest/stream"
	"github.com/earshot/earshot/processors/alerts"
	"github.com/earshot/earshot/processors/privacy"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
	"github.com/earshot/earshot/sinks/clickhouse/engine/enginetest"
)

// noon is when the stories happen: a Wednesday, after five weeks of history.
var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// world is a real broker and a real store with the time of the test's choice.
type world struct {
	t     *testing.T
	store *clickhouse.Store
	nc    *nats.Conn
	js    jetstream.JetStream
	seq   uint64
	rows  []schemas.Row
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	b, err := broker.Start(t.Context(), broker.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Shards: 1, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if w.nc, w.js, err = stream.Connect(b.URL(), "test", zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.nc.Close)
	if _, err := stream.Provision(t.Context(), w.js, stream.ProvisionConfig{Shards: 1}); err != nil {
		t.Fatal(err)
	}
	if w.store, err = clickhouse.Open(t.Context(), clickhouse.Config{DSN: enginetest.Start(t), Logger: zerolog.Nop()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	if _, err := w.store.Migrate(t.Context(), clickhouse.MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) journal() *stream.Journal {
	return stream.OpenJournal(w.js, w.nc, schemas.AlertJournal)
}

// say adds one piece of feedback; store stores what was added.
func (w *world) say(at time.Time, tenant, customer, text string, polarity schemas.Polarity) {
	w.seq++
	e := &schemas.Event{ID: fmt.Sprint(w.seq), Source: "/test", Kind: schemas.FeedbackReceived, Tenant: tenant, Time: at}
	e.Data.Channel, e.Data.Text = "app", text
	r := schemas.Row{Event: e, ID: e.Identity(), CustomerKey: customer, Epoch: "e", Seq: w.seq, Generation: 1, ReceivedAt: at}
	r.Labels.Polarity = polarity
	if polarity == schemas.Negative {
		r.Labels.Mentions = []schemas.Mention{{Element: schemas.Product, Facet: schemas.Quality, Theme: "crash-or-bug", Polarity: -1, End: uint32(len(text))}}
	}
	r.Seal(nil)
	w.rows = append(w.rows, r)
}

func (w *world) save() {
	w.t.Helper()
	months := map[string][]schemas.Row{}
	for _, r := range w.rows {
		m := fmt.Sprint(r.Generation, r.Event.Time.Format("200601"))
		months[m] = append(months[m], r)
	}
	for _, rows := range months {
		if err := w.store.Insert(w.t.Context(), rows, fmt.Sprintf("t-%d-%d-%d", rows[0].Generation, rows[0].Seq, rows[0].Event.Time.Unix())); err != nil {
			w.t.Fatal(err)
		}
	}
	w.rows = nil
}

// weeks gives a tenant so many weeks of two customers an hour, one of ten negative.
func (w *world) weeks(tenant string, n int) {
	from := noon.Add(-time.Duration(n) * 7 * 24 * time.Hour)
	for i, at := 0, from; at.Before(noon.Add(-20 * time.Minute)); i, at = i+1, at.Add(30*time.Minute) {
		p := schemas.Positive
		if i%10 == 0 {
			p = schemas.Negative
		}
		w.say(at, tenant, fmt.Sprintf("%s-old-%d", tenant, i), "as always", p)
	}
}

// crowd has n customers speak within the minutes before and after noon.
func (w *world) crowd(tenant string, from, minutes, n int, text string, polarity schemas.Polarity, same bool) {
	for i := range n {
		who := fmt.Sprintf("%s-%d", tenant, w.seq)
		if same {
			who = tenant + "-same"
		}
		w.say(noon.Add(time.Duration(from)*time.Minute+time.Duration(i)*time.Duration(minutes)*time.Minute/time.Duration(n)), tenant, who, text, polarity)
	}
}

func (w *world) evaluator(rules string) *alerts.Evaluator {
	w.t.Helper()
	parsed, err := alerts.ParseRules("test", []byte(rules))
	if err != nil {
		w.t.Fatal(err)
	}
	masker, err := privacy.NewMasker()
	if err != nil {
		w.t.Fatal(err)
	}
	return alerts.New(alerts.Config{Rules: parsed, Receivers: []string{"pager"}, Owner: fmt.Sprintf("o%d", time.Now().UnixNano()), Store: w.store, Journal: w.journal(), Link: "https://example.org/", Quote: masker.Quote})
}

// collector collects what is delivered, as a receiver would see it.
type collector struct {
	t    *testing.T
	seen []string // minute, tenant and what
	keys []string
	last map[string]schemas.Alert
}

// orders are what an evaluator hands out.
func (w *world) orders(e *alerts.Evaluator, now time.Time) []alerts.Order {
	w.t.Helper()
	out, err := e.Orders(w.t.Context(), now)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// step evaluates at a minute after noon and delivers what is due.
func (c *collector) step(ctx context.Context, e *alerts.Evaluator, minute int) {
	c.t.Helper()
	now := noon.Add(time.Duration(minute) * time.Minute)
	if _, err := e.Step(ctx, now); err != nil {
		c.t.Fatalf("minute %d: %v", minute, err)
	}
	orders, err := e.Orders(ctx, now)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, o := range orders {
		if o.Receiver != alerts.Table {
			what := "raised"
			if o.Alert.Resolved() {
				what = "resolved"
			}
			c.seen = append(c.seen, fmt.Sprintf("%d %s %s %s", minute, o.Alert.Rule, o.Alert.Cell["tenant"], what))
			c.keys = append(c.keys, o.Key())
			if c.last == nil {
				c.last = map[string]schemas.Alert{}
			}
			c.last[o.Alert.Cell["tenant"]] = o.Alert
		}
		if _, err := e.Done(ctx, o, now, nil); err != nil {
			c.t.Fatal(err)
		}
	}
}

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

// announced waits for the announcements on INSIGHTS and checks that there are no others.
func (w *world) announced(subjects ...string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	st, err := w.js.Stream(ctx, schemas.InsightsStream)
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for seq := uint64(1); len(got) < len(subjects); {
		m, err := st.GetMsg(ctx, seq)
		if err != nil {
			if ctx.Err() != nil {
				w.t.Fatalf("announced %q, want %q", got, subjects)
			}
			time.Sleep(10 * time.Millisecond)
			continue
		}
		var e struct{ Type string }
		if err := json.Unmarshal(m.Data, &e); err != nil || !strings.HasPrefix(e.Type, "alert.") {
			w.t.Errorf("%s is no alert: %.200s", m.Subject, m.Data)
		}
		got = append(got, m.Subject)
		seq++
	}
	if !slices.Equal(got, subjects) {
		w.t.Errorf("announced %q, want %q", got, subjects)
	}
}

// A process that is killed between "fired" and "sent", or between "sent" and "noted", leaves one page, by its key.
func TestKilledBetweenFiredAndSent(t *testing.T) {
	w := newWorld(t)
	w.weeks("acme", 5)
	w.crowd("acme", 0, 10, 20, "Crashes", schemas.Negative, false)
	w.save()
	now := noon.Add(10 * time.Minute)
	first := w.evaluator(spikeRule)
	if r, err := first.Step(t.Context(), now); err != nil || len(r.Changes) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	// Killed here: nothing was sent.
	second := w.evaluator(spikeRule)
	if _, err := second.Step(t.Context(), now.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	orders := w.orders(second, now.Add(time.Second))
	if len(orders) != 2 {
		t.Fatalf("the heir has %d deliveries to make, want the table's and the pager's", len(orders))
	}
	if again := w.orders(second, now.Add(2*time.Second)); len(again) > 0 {
		t.Errorf("what is in flight is handed out again: %+v", again)
	}
	// Killed here: sent, and not noted.
	third := w.evaluator(spikeRule)
	if _, err := third.Step(t.Context(), now.Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	repeated := w.orders(third, now.Add(2*time.Second))
	if len(repeated) != 2 || repeated[1].Key() != orders[1].Key() {
		t.Fatalf("the repetition has another key: %+v", repeated)
	}
	for _, o := range repeated {
		if _, err := third.Done(t.Context(), o, now, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := third.Flush(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	// The first, which was not dead after all, finds that it has been replaced, and stands by.
	if _, err := first.Step(t.Context(), now.Add(time.Minute)); err == nil {
		t.Error("a process that was replaced wrote the state")
	}
	if r, err := first.Step(t.Context(), now.Add(time.Minute)); err != nil || !r.Standby {
		t.Errorf("it does not stand by: %+v, %v", r, err)
	}
	for i := range 3 { // until the other has stood still for long enough
		if _, err := first.Step(t.Context(), now.Add(time.Minute+time.Duration(i)*10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := first.Step(t.Context(), now.Add(2*time.Minute)); err != nil || r.Standby || r.Open != 1 || len(w.orders(first, now.Add(2*time.Minute))) != 0 {
		t.Errorf("after the takeover: %+v, %v; want the one alert open and nothing to send", r, err)
	}
}

// A receiver that cannot tell a repetition from news is told that something may be one, exactly when it may: not after a kill
// before the attempt and not after one that failed, but after a kill within one.
func TestARepetitionSaysThatItMayBeOne(t *testing.T) {
	w := newWorld(t)
	w.say(noon, "acme", "c1", "my lawyer", schemas.Neutral)
	w.save()
	heir := func() *alerts.Evaluator {
		rules, err := alerts.ParseRules("test", []byte("rules: [{alert: Lawyer, detector: threshold, where: {words: [lawyer]}}]"))
		if err != nil {
			t.Fatal(err)
		}
		w.seq++
		return alerts.New(alerts.Config{Rules: rules, Receivers: []string{"chat", "pager"}, Forgetful: []string{"chat"}, Owner: fmt.Sprint("heir", w.seq), Store: w.store, Journal: w.journal()})
	}
	now := noon
	var e *alerts.Evaluator
	step := func() map[string]alerts.Order {
		now = now.Add(2 * time.Second)
		if _, err := e.Step(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		out := map[string]alerts.Order{}
		for _, o := range w.orders(e, now) {
			out[o.Receiver] = o
		}
		return out
	}
	e = heir()
	if _, err := e.Step(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	e = heir() // killed between fired and sent
	first := step()
	if o, ok := first["chat"]; !ok || o.Again {
		t.Fatalf("nothing was begun, and the chat is told %+v", o)
	}
	for _, o := range first {
		if _, err := e.Done(t.Context(), o, now, fmt.Errorf("503")); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Flush(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	e = heir() // killed between two attempts
	if o, ok := step()["chat"]; !ok || o.Again {
		t.Fatalf("the attempt had failed, and the chat is told %+v", o)
	}
	e = heir() // killed within the attempt
	last := step()
	defer func() { // and says so for as long as it is tried, however clearly it fails later
		for _, o := range last {
			if _, err := e.Done(t.Context(), o, now, fmt.Errorf("503")); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(10 * time.Minute)
		if o, ok := step()["chat"]; !ok || !o.Again {
			t.Errorf("an attempt that failed hides the one before: %+v", o)
		}
	}()
	for receiver, again := range map[string]bool{"chat": true, "pager": false} {
		before, o := first[receiver], last[receiver]
		if o.Again != again || o.Key() != before.Key() {
			t.Errorf("it may have been told, and %s is told %+v after %+v", receiver, o, before)
		}
	}
}

// noAnswer is a fault after which nobody knows.
type noAnswer struct{ error }

func (noAnswer) Ambiguous() bool { return true }

// After a time-out the other side may have it: what is told again says so, also after a clear refusal.
func TestAfterATimeOutItMayBeARepetition(t *testing.T) {
	w := newWorld(t)
	w.say(noon, "acme", "c1", "my lawyer", schemas.Neutral)
	w.save()
	rules, err := alerts.ParseRules("test", []byte("rules: [{alert: Lawyer, detector: threshold, where: {words: [lawyer]}, keep_firing_for: 6h}]"))
	if err != nil {
		t.Fatal(err)
	}
	e := alerts.New(alerts.Config{Rules: rules, Receivers: []string{"chat"}, Forgetful: []string{"chat"}, Owner: "o", Store: w.store, Journal: w.journal()})
	for i, c := range []struct {
		again bool
		fault error
	}{{false, fmt.Errorf("503")}, {false, noAnswer{fmt.Errorf("time-out")}}, {true, fmt.Errorf("503")}, {true, nil}} {
		now := noon.Add(time.Duration(i)*10*time.Minute + 2*time.Second)
		if _, err := e.Step(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		chat := 0
		for _, o := range w.orders(e, now) {
			var fault error
			if o.Receiver == "chat" {
				chat++
				if fault = c.fault; o.Again != c.again {
					t.Errorf("attempt %d: may be a repetition: %v, want %v", i, o.Again, c.again)
				}
			}
			if _, err := e.Done(t.Context(), o, now, fault); err != nil {
				t.Fatal(err)
			}
		}
		if chat != 1 {
			t.Errorf("attempt %d: %d deliveries to the chat", i, chat)
		}
	}
}

// Who looks after an alert is told once to those who want to know, and not of an alert that was held back.
func TestAnAcknowledgementIsToldOnce(t *testing.T) {
	w := newWorld(t)
	w.say(noon, "acme", "c1", "my lawyer", schemas.Neutral)
	w.say(noon, "muted", "c2", "my lawyer", schemas.Neutral)
	w.save()
	if err := alerts.Edit(t.Context(), w.journal(), func(s *alerts.State) error {
		s.Mutes = append(s.Mutes, alerts.Mute{ID: "m", Match: map[string]string{"tenant": "muted"}, Until: noon.Add(time.Hour)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	rules, err := alerts.ParseRules("test", []byte("rules: [{alert: Lawyer, detector: threshold, where: {words: [lawyer]}}]"))
	if err != nil {
		t.Fatal(err)
	}
	e := alerts.New(alerts.Config{Rules: rules, Receivers: []string{"mail", "pager"}, Listeners: []string{"pager"}, Owner: "o", Store: w.store, Journal: w.journal()})
	var told []string
	for second := 1; second < 12; second++ {
		now := noon.Add(time.Duration(second) * time.Second)
		e.Step(t.Context(), now) // one meets the person's write
		for _, o := range w.orders(e, now) {
			if o.Receiver != alerts.Table {
				told = append(told, fmt.Sprint(o.Receiver, " ", o.Alert.Cell["tenant"], " acked=", o.Acked, " by=", o.Alert.AckedBy))
			}
			if _, err := e.Done(t.Context(), o, now, nil); err != nil {
				t.Fatal(err)
			}
		}
		if second == 4 {
			if err := alerts.Edit(t.Context(), w.journal(), func(s *alerts.State) error {
				for id := range s.Alerts {
					if err := s.Ack(id, "anna", now); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []string{"mail acme acked=false by=", "pager acme acked=false by=", "pager acme acked=true by=anna"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
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

// What a person changes and what the evaluator changes meet without either being lost.
func TestAPersonAcksBesideTheEvaluator(t *testing.T) {
	w := newWorld(t)
	w.weeks("acme", 5)
	w.crowd("acme", 0, 10, 20, "Crashes", schemas.Negative, false)
	w.save()
	e, c := w.evaluator(spikeRule), &collector{t: t}
	c.step(t.Context(), e, 10)
	s, _, err := alerts.Read(t.Context(), w.journal())
	if err != nil || len(s.Alerts) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	for id := range s.Alerts {
		if err := alerts.Edit(t.Context(), w.journal(), func(s *alerts.State) error { return s.Ack(id[:8], "anna", noon) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := alerts.Edit(t.Context(), w.journal(), func(s *alerts.State) error { return s.Ack("ffff", "anna", noon) }); err == nil {
		t.Error("an alert that is not there was acknowledged")
	}
	for minute := 11; minute < 14; minute++ { // the first meets the person's write
		e.Step(t.Context(), noon.Add(time.Duration(minute)*time.Minute))
	}
	s, _, err = alerts.Read(t.Context(), w.journal())
	if err != nil || len(s.Alerts) != 1 || len(s.Outbox) != 1 || !s.Outbox[0].Acked { // the table's
		t.Fatalf("%+v, %v", s, err)
	}
	for _, a := range s.Alerts {
		if a.AckedBy != "anna" {
			t.Errorf("the acknowledgement is lost: %+v", a)
		}
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
