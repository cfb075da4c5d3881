package alerts_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/processors/alerts"
	"github.com/earshot/earshot/schemas"
)

// sayAt adds feedback that is received later than it happened.
func (w *world) sayAt(at time.Time, late time.Duration, tenant, customer string, change func(*schemas.Row)) {
	w.say(at, tenant, customer, "Crashes, my lawyer will hear of it", schemas.Negative)
	r := &w.rows[len(w.rows)-1]
	r.ReceivedAt = at.Add(late)
	if change != nil {
		change(r)
	}
	r.Seal(nil)
}

// What arrives long after it happened calls nobody, by whatever rule, though the window reaches back to it. What arrives a
// little late does, and so does all of it where the rule says so. Figures count it all the same.
func TestLateFeedbackCallsNobody(t *testing.T) {
	w := newWorld(t)
	for _, tenant := range []string{"late", "prompt"} {
		w.weeks(tenant, 5)
	}
	for i := range 20 {
		at := noon.Add(-3*time.Hour + time.Duration(i)*time.Minute)
		w.sayAt(at, 3*time.Hour, "late", fmt.Sprint("late", i), nil)
		w.sayAt(at, 20*time.Minute, "prompt", fmt.Sprint("prompt", i), nil)
	}
	for i := range 5 {
		w.sayAt(noon.Truncate(24*time.Hour), 11*time.Hour, "dates", fmt.Sprint("dates", i), nil) // only the day is told
	}
	w.save()
	rules := func(more string) string {
		return `
rules:
  - {alert: Spike, detector: negative_spike, by: [channel], windows: [15m, 1h, 6h, 24h]` + more + `}
  - {alert: Lawyer, detector: threshold, where: {words: [lawyer]}, windows: [15h]` + more + `}`
	}
	for more, want := range map[string][]string{
		"":                  {"1 Lawyer dates raised", "1 Lawyer prompt raised", "1 Spike prompt raised"},
		", late_after: 24h": {"1 Lawyer dates raised", "1 Lawyer late raised", "1 Lawyer prompt raised", "1 Spike late raised", "1 Spike prompt raised"},
	} {
		c := &collector{t: t}
		c.step(t.Context(), w.evaluator(rules(more)), 1)
		slices.Sort(c.seen)
		if !slices.Equal(c.seen, want) {
			t.Errorf("late_after %q: told %q, want %q", more, c.seen, want)
		}
		if err := alerts.Edit(t.Context(), w.journal(), func(s *alerts.State) error { *s = *alerts.NewState(); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	var counted uint64
	if err := w.store.Value(t.Context(), "SELECT countIf(polarity = 'negative') FROM feedback_current WHERE tenant = 'late' AND received_at > occurred_at", &counted); err != nil || counted != 20 {
		t.Errorf("figures count %d of what came late, %v", counted, err)
	}
}

// Three messages without a name are one customer where it is asked how many stand behind an alarm; those of one conversation
// are one at any rate. A channel in which nobody gives a name has a voice all the same, and a single event one suffices for.
func TestMessagesWithoutANameAreFewerCustomers(t *testing.T) {
	w := newWorld(t)
	for _, tenant := range []string{"few", "store"} {
		w.weeks(tenant, 5)
	}
	say := func(tenant string, n int, conversation string, named bool) {
		for i := range n {
			who := ""
			if named {
				who = fmt.Sprint(tenant, i)
			}
			w.sayAt(noon.Add(time.Duration(w.seq%600)*time.Second/10), 0, tenant, who, func(r *schemas.Row) {
				r.Event.Data.ConversationID = conversation
				r.Labels.Intent = schemas.ChurnNotice
			})
		}
	}
	say("three", 3, "", false)
	say("talk", 30, "one", false)
	say("seven", 7, "", false)
	say("people", 3, "", true)
	say("few", 12, "", false) // four customers: not enough for a spike
	say("store", 30, "", false)
	w.save()
	c := &collector{t: t}
	c.step(t.Context(), w.evaluator(`
rules:
  - {alert: Churn, detector: threshold, where: {tenant: [three, talk, seven, people], intent: [churn_notice]}, limit: 3}
  - {alert: Lawyer, detector: threshold, where: {tenant: [three], words: [lawyer]}}
  - {alert: Spike, detector: negative_spike, by: [channel], windows: [15m]}
`), 2)
	slices.Sort(c.seen)
	want := []string{"2 Churn people raised", "2 Churn seven raised", "2 Lawyer three raised", "2 Spike store raised"}
	if !slices.Equal(c.seen, want) {
		t.Errorf("told %q, want %q", c.seen, want)
	}
	if a := c.last["store"]; a.Unnamed != 30 {
		t.Errorf("the alert says that %d of %d gave no name", a.Unnamed, a.Customers)
	}
}

// After an alert is over the next single event is paged with the next count, also one from just before the end that was stored
// after it, and a second incident by what came since,
// however long the windows are.
func TestWhatComesAfterAnAlertIsPagedAtOnce(t *testing.T) {
	w := newWorld(t)
	w.weeks("spike", 5)
	w.crowd("spike", 0, 10, 20, "Crashes", schemas.Negative, false)
	w.say(noon, "single", "c1", "my lawyer", schemas.Neutral)
	w.save()
	const rules = `
rules:
  - {alert: Lawyer, detector: threshold, where: {words: [lawyer]}, windows: [1h], keep_firing_for: 5m}
  - {alert: Spike, detector: negative_spike, by: [channel], windows: [6h], keep_firing_for: 5m, where: {tenant: [spike]}}
`
	c := &collector{t: t}
	e := w.evaluator(rules)
	minute := 0
	until := func(what string, last int) int {
		t.Helper()
		for ; minute <= last; minute++ {
			if c.step(t.Context(), e, minute); slices.ContainsFunc(c.seen, func(s string) bool { return strings.HasSuffix(s, what) }) {
				c.seen = nil
				return minute
			}
		}
		t.Fatalf("%s: not until minute %d", what, last)
		return 0
	}
	until("single raised", 1)
	minute = 58
	over := until("single resolved", 70)
	w.say(noon.Add(time.Duration(over)*time.Minute-30*time.Second), "single", "c2", "my lawyer again", schemas.Neutral)
	w.save()
	if again := until("single raised", over+10); again > over+1 {
		t.Errorf("over in minute %d; the next event is paged in minute %d", over, again)
	}
	minute = 6*60 - 2 // the window has forgotten nothing yet
	over = until("spike resolved", 6*60+30)
	w.crowd("spike", over+5, 10, 20, "Crashes again", schemas.Negative, false)
	w.save()
	e = w.evaluator(rules) // another process takes it up
	if again := until("spike raised", over+60); again > over+20 {
		t.Errorf("over in minute %d; the second incident, from minute %d on, is raised in minute %d", over, over+5, again)
	}
}

// The link to the query narrows by all that the cell is narrowed by.
func TestTheLinkAsksForTheCell(t *testing.T) {
	w := newWorld(t)
	w.crowd("acme", 0, 5, 3, "Crashes", schemas.Negative, false)
	w.save()
	c := &collector{t: t}
	c.step(t.Context(), w.evaluator("rules: [{alert: Crashes, detector: threshold, by: [channel, element, facet, theme], limit: 3}]"), 6)
	want := "earshot query --name feedback_latest --tenant acme --param from='2026-11-18 11:06:00' --param channel=app --param element=product --param facet=quality --param theme=crash-or-bug"
	if got := c.last["acme"].Links["query"]; got != want {
		t.Errorf("linked\n%s, want\n%s", got, want)
	}
}

// A delivery that became a dead letter is made again when the letter is replayed, under the same key, and once.
func TestADeadDeliveryIsMadeAgain(t *testing.T) {
	w := newWorld(t)
	w.say(noon, "acme", "c1", "my lawyer", schemas.Neutral)
	w.save()
	e := w.evaluator("rules: [{alert: Lawyer, detector: threshold, where: {words: [lawyer]}, windows: [1m], keep_firing_for: 0}]")
	if _, err := e.Step(t.Context(), noon.Add(2*time.Second)); err != nil {
		t.Fatal(err)
	}
	key := ""
	for _, o := range w.orders(e, noon.Add(2*time.Second)) {
		var fault error
		if o.Receiver == "pager" {
			key, fault = o.Key(), final{fmt.Errorf("404")}
		}
		if dead, err := e.Done(t.Context(), o, noon, fault); err != nil || dead != (fault != nil) {
			t.Fatalf("%s: dead %v, %v", o.Receiver, dead, err)
		}
	}
	st, err := w.js.Stream(t.Context(), schemas.OutcomesStream)
	if err != nil {
		t.Fatal(err)
	}
	m, err := st.GetLastMsgForSubject(t.Context(), schemas.DeadSubject(schemas.AlertShard, schemas.ReasonRetryExhausted))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := alerts.Requeue(t.Context(), w.journal(), "outbox-alerts-1", m.Data, noon.Add(10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if err := alerts.Requeue(t.Context(), w.journal(), "x", []byte("{}"), noon); err == nil {
		t.Error("what is no delivery was put back")
	}
	c := &collector{t: t}
	e = w.evaluator("rules: [{alert: Lawyer, detector: threshold, where: {words: [lawyer]}, windows: [1m], keep_firing_for: 0}]")
	for minute := 1; minute < 4; minute++ {
		c.step(t.Context(), e, minute)
	}
	if len(c.keys) != 2 || c.keys[0] != key || c.keys[1] != strings.TrimSuffix(key, "raised")+"resolved" {
		t.Errorf("made again: %q, want %s and its end", c.keys, key)
	}
}

// final is a fault that trying again does not mend.
type final struct{ error }

func (final) Permanent() bool { return true }

// A window that takes long is counted beside the steps, which go on with what was counted before, and brings what it found.
func TestSlowCountsAreMadeBesideTheSteps(t *testing.T) {
	w := newWorld(t)
	w.say(noon.Add(-30*time.Minute), "old", "c1", "my lawyer", schemas.Neutral)
	w.save()
	rules, err := alerts.ParseRules("test", []byte("rules: [{alert: Lawyer, detector: threshold, windows: [1m, 1h], where: {words: [lawyer]}}]"))
	if err != nil {
		t.Fatal(err)
	}
	var clock atomic.Int64
	e := alerts.New(alerts.Config{Rules: rules, Owner: "o", Store: w.store, Journal: w.journal(), Patience: time.Second,
		Clock: func() time.Time { return time.Unix(clock.Add(2), 0) }})
	open := func(now time.Time) int {
		t.Helper()
		r, err := e.Step(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		return r.Open
	}
	if n := open(noon); n != 1 { // the first time there is nothing to go on with
		t.Fatalf("%d alerts, want 1", n)
	}
	w.say(noon.Add(-10*time.Minute), "new", "c2", "my lawyer", schemas.Neutral)
	w.save()
	if n := open(noon.Add(20 * time.Second)); n != 1 {
		t.Fatalf("%d alerts: the step waited for the count", n)
	}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if n := open(noon.Add(20 * time.Second)); n == 2 {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("what was counted beside the steps never arrives")
		}
	}
	if err := e.Flush(t.Context(), noon.Add(20*time.Second)); err != nil {
		t.Fatal(err)
	}
}
