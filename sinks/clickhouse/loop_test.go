package clickhouse_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/processors/calendar"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// spring is when the histories begin: a week before summer time does in Europe.
var spring = time.Date(2026, 3, 22, 7, 0, 0, 0, time.UTC)

// happened makes a row of an event.
func happened(seq uint64, at time.Time, kind schemas.Kind, set func(r *schemas.Row)) schemas.Row {
	e := &schemas.Event{ID: fmt.Sprint(seq), Source: "/desk", Kind: kind, Tenant: "acme", Time: at}
	e.Data.Channel = "support"
	r := schemas.Row{Event: e, Epoch: epoch, Seq: seq, Generation: 1, ReceivedAt: at}
	set(&r)
	r.ID = e.Identity()
	r.Seal(nil)
	return r
}

// store inserts rows, one month at a time.
func (h threadHistory) store(t testing.TB, s *clickhouse.Store) {
	t.Helper()
	months := map[string][]schemas.Row{}
	for _, r := range h {
		m := r.Event.Time.Format("2006-01")
		months[m] = append(months[m], r)
	}
	for _, m := range slices.Sorted(maps.Keys(months)) {
		if err := s.Insert(t.Context(), months[m], fmt.Sprintf("%s-%d", m, months[m][0].Seq)); err != nil {
			t.Fatal(err)
		}
	}
}

// happenings are what the generator draws from.
var happenings = []struct {
	kind              schemas.Kind
	actor, visibility string
}{
	{schemas.FeedbackReceived, "customer", ""}, {schemas.MessagePosted, "customer", ""}, {schemas.MessagePosted, "customer", ""},
	{schemas.MessagePosted, "agent", ""}, {schemas.MessagePosted, "agent", "internal"}, {schemas.MessagePosted, "bot", ""},
	{schemas.CaseOpened, "", ""}, {schemas.CaseOpened, "system", ""}, {schemas.CaseOpened, "agent", ""},
	{schemas.AgentResponded, "agent", "public"}, {schemas.AgentResponded, "agent", "internal"}, {schemas.AgentResponded, "bot", "public"},
	{schemas.CaseResolved, "agent", ""}, {schemas.CaseResolved, "system", ""}, {schemas.CaseReopened, "customer", ""}, {schemas.CaseReopened, "agent", ""},
	{schemas.DecisionProposed, "agent", ""}, {schemas.DecisionAnswered, "customer", ""}, {schemas.DecisionMade, "agent", ""},
	{schemas.CustomerInformed, "agent", ""}, {schemas.CustomerInformed, "system", ""}, {schemas.FollowupRated, "customer", ""}, {schemas.RatingSubmitted, "customer", ""},
	{schemas.SurveySent, "system", ""},
}

// tell makes up a threadHistory: cases, conversations, both with either name, and lone feedback, some with a case opened on it.
func tell(seed uint64, threads int) threadHistory {
	rnd := rand.New(rand.NewPCG(seed, 5))
	var h threadHistory
	seq := uint64(0)
	for i := range threads {
		at := spring.Add(time.Duration(rnd.IntN(14*24*3600)) * time.Second)
		tenant, shape := pick(rnd, "acme", "acme", "globex"), rnd.IntN(6)
		customer, channel := fmt.Sprintf("k%d", rnd.IntN(max(threads/3, 1))), pick(rnd, "support", "chat", "email")
		about := ""
		for range 1 + rnd.IntN(12) {
			seq++
			// Half the steps are minutes, the others days; now and then two things happen at once.
			switch rnd.IntN(8) {
			case 0:
			case 1, 2, 3:
				at = at.Add(time.Duration(1+rnd.IntN(40*3600_000)) * time.Millisecond)
			default:
				at = at.Add(time.Duration(1+rnd.IntN(3600_000)) * time.Millisecond)
			}
			what := pick(rnd, happenings...)
			if shape == 4 && about == "" {
				what.kind, what.actor, what.visibility = schemas.FeedbackReceived, "customer", ""
			}
			h = append(h, happened(seq, at, what.kind, func(r *schemas.Row) {
				e := r.Event
				d := &e.Data
				e.Tenant, d.Channel, d.ActorKind, d.Visibility, d.Text = tenant, channel, what.actor, what.visibility, fmt.Sprint("text ", seq)
				if what.actor == "customer" && rnd.IntN(4) > 0 {
					r.CustomerKey = customer
				}
				byCustomer := what.actor == "customer" || what.actor == ""
				r.Labels.ResponseNeeded = byCustomer && rnd.IntN(2) == 0
				if byCustomer && what.kind != schemas.DecisionProposed {
					r.Labels.Polarity = pick(rnd, schemas.Negative, schemas.Neutral, schemas.Positive, schemas.Positive)
				}
				if what.kind == schemas.FollowupRated || what.kind == schemas.RatingSubmitted {
					r.Scores.Rating = schemas.Score{Value: float32(rnd.IntN(5))/2 - 1, Valid: true}
				}
				switch what.kind {
				case schemas.DecisionAnswered:
					d.Verdict = pick(rnd, "agree", "disagree", "counter")
				case schemas.DecisionMade:
					d.Outcome = pick(rnd, "fix", "refund", "explain")
					if rnd.IntN(2) == 0 {
						d.PromiseDue = at.Add(time.Duration(rnd.IntN(72)) * time.Hour).Format(time.RFC3339)
					}
				}
				name, other := fmt.Sprintf("c%d", i), fmt.Sprintf("t%d", i)
				switch shape {
				case 0: // a case
					d.CaseID = name
				case 1: // a conversation
					d.ConversationID = name
				case 2: // a case whose conversation may stand alone
					d.ConversationID = other
					if rnd.IntN(2) == 0 {
						d.CaseID = name
					}
				case 3: // a conversation whose case is its correlation, and the case itself
					if rnd.IntN(2) == 0 {
						d.ConversationID, e.Correlation = other, name
					} else {
						d.CaseID = name
					}
				case 4: // feedback on which a case is opened
					if about == "" {
						about = e.Source + "#" + e.ID
						r.Labels.ResponseNeeded = true
					} else {
						d.CaseID = name
						if e.Kind == schemas.CaseOpened {
							e.Causation = about
						}
					}
				}
			}))
		}
	}
	return h
}

// unambiguous leaves out what two things at the sameRows millisecond leave open: which of two of a sort was first.
func unambiguous(h threadHistory) threadHistory {
	seen := map[string]bool{}
	return slices.DeleteFunc(h, func(r schemas.Row) bool {
		var keys []string
		for i, is := range []bool{strings.Contains(string(r.Event.Kind), "decision"), r.Scores.Rating.Valid, r.Labels.ResponseNeeded} {
			if is {
				keys = append(keys, fmt.Sprint(r.Event.Tenant, r.Event.Time, i))
			}
		}
		for _, k := range keys {
			if seen[k] {
				return true
			}
		}
		for _, k := range keys {
			seen[k] = true
		}
		return false
	})
}

const calendars = `{"tenants":{"acme":{"time_zone":"Europe/Berlin","hours":{"mon":["09:00-12:30","13:30-18:00"],"tue":["09:00-18:00"],"wed":["09:00-18:00"],
	"thu":["09:00-18:00"],"fri":["09:00-18:00"],"sat":["22:00-04:00"]},"holidays":["2026-04-03"],"special":{"2026-04-02":["09:00-12:00"]},
	"targets":{"first_response":"2h","next_response":"3h","resolution":"24h"},"channels":{"chat":{"first_response":"15m"}}}}}`

// acmeHours is the calendar of acme, stored.
func acmeHours(t testing.TB, s *clickhouse.Store) []calendar.Hours {
	t.Helper()
	list, err := calendar.Parse([]byte(calendars))
	if err != nil {
		t.Fatal(err)
	}
	hours := list[0].Hours(2025, 2028)
	c := clickhouse.Calendar{Tenant: "acme", Zone: "Europe/Berlin", Targets: list[0].Targets, Revision: calendar.Revision(hours), Definition: "{}"}
	for _, h := range hours {
		c.Hours = append(c.Hours, clickhouse.OpenHours{Opens: h.Opens, Closes: h.Closes, Before: h.Before})
	}
	for range 2 { // setting it again changes nothing
		if err := s.SetCalendar(t.Context(), &c); err != nil {
			t.Fatal(err)
		}
	}
	return hours
}

// sameRows compares one row of a view with what the oracle says of it.
func sameRows(t *testing.T, what string, got, want map[string]any) {
	t.Helper()
	for k, w := range want {
		g := got[k]
		switch w := w.(type) {
		case time.Time:
			if w.IsZero() {
				if g != nil {
					t.Errorf("%s: %s is %v, want none", what, k, g)
				}
				continue
			}
			if g != w.UTC().Format("2006-01-02 15:04:05.000") {
				t.Errorf("%s: %s is %v, want %v", what, k, g, w.UTC().Format("2006-01-02 15:04:05.000"))
			}
		case time.Duration:
			if v, ok := g.(float64); !ok || math.Abs(v-w.Seconds()) > 0.0006 {
				t.Errorf("%s: %s is %v, want %v", what, k, g, w.Seconds())
			}
		case bool:
			if g != w && g != map[bool]float64{false: 0, true: 1}[w] { // a view's truths may come as numbers
				t.Errorf("%s: %s is %v, want %v", what, k, g, w)
			}
		default:
			if fmt.Sprint(g) != fmt.Sprint(w) {
				t.Errorf("%s: %s is %v, want %v", what, k, g, w)
			}
		}
	}
}

// Every figure of the clocks and the loop, of generated histories, is what an oracle works out event by event.
func TestClocksAndLoopMatchTheOracle(t *testing.T) {
	s := open(t)
	hours := map[string][]calendar.Hours{"acme": acmeHours(t, s)}
	h := unambiguous(tell(11, 300))
	rand.New(rand.NewPCG(3, 3)).Shuffle(len(h), func(i, j int) { h[i], h[j] = h[j], h[i] }) // events arrive in any order
	for lo := 0; lo < len(h); lo += 700 {
		h[lo:min(lo+700, len(h))].store(t, s)
	}
	h = h.revised(t, s)
	merge(t, s)
	for _, table := range []string{"calendars", "calendar_hours"} {
		if err := clickhouse.Exec(t.Context(), s, "OPTIMIZE TABLE "+table+" FINAL"); err != nil {
			t.Fatal(err)
		}
	}
	view := func(statement string, key func(row map[string]any) string) map[string]map[string]any {
		out := map[string]map[string]any{}
		for _, row := range ask(t, s, statement) {
			k := key(row)
			if out[k] != nil {
				t.Errorf("%s: two rows of %s", statement, k)
			}
			out[k] = row
		}
		return out
	}
	at := func(column string) func(map[string]any) string {
		return func(row map[string]any) string {
			return name(row["tenant"].(string), row["thread"].(string), row[column])
		}
	}
	stamped := func(x time.Time) string { return x.UTC().Format("2006-01-02 15:04:05.000") }
	times := view("SELECT * FROM response_times", at("started_at"))
	cyclesGot := view("SELECT * FROM case_cycles", at("cycle"))
	dueGot := view("SELECT * FROM due", func(row map[string]any) string { return name(row["tenant"].(string), row["thread"].(string), "") })
	decisions := view("SELECT * FROM decisions", at("decided_at"))
	cases := view("SELECT * FROM cases", func(row map[string]any) string { return name(row["tenant"].(string), row["thread"].(string), "") })
	var waiting []string
	for _, row := range ask(t, s, "SELECT tenant, thread, text FROM needs_response") {
		waiting = append(waiting, name(row["tenant"].(string), row["thread"].(string), row["text"]))
	}
	now := time.Now()
	var open, promised []string
	counts := map[string]int{}
	type letDown struct {
		at   time.Time
		name string
	}
	failures := map[string][]letDown{}
	for _, th := range h.threads() {
		waits, cycles := th.clocks()
		for _, w := range waits {
			counts["waits"]++
			what := name(w.tenant, w.thread, stamped(w.started))
			metric, target, allowed := "next_response", 4*time.Hour, map[string]time.Duration{"first_response": 2 * time.Hour, "next_response": 3 * time.Hour}
			if w.first {
				metric = "first_response"
			}
			got := times[what]
			if got == nil {
				t.Errorf("%s: no such wait", what)
				continue
			}
			due := w.started.Add(target)
			if w.tenant == "acme" {
				target = allowed[metric]
				if w.first && got["channel"] == "chat" {
					target = 15 * time.Minute
				}
				due = calendar.Due(hours["acme"], w.started, target)
			}
			want := map[string]any{"cycle": w.cycle, "metric": metric, "answered_at": w.answer, "closed_at": w.closed, "target_seconds": target.Seconds(), "due_at": due,
				"in_time": nil, "wall_seconds": nil, "business_seconds": nil}
			if !w.answer.IsZero() {
				want["wall_seconds"], want["business_seconds"] = w.answer.Sub(w.started), business(hours[w.tenant], w.started, w.answer)
				counts["wasAnswered"]++
			}
			if !due.After(now) {
				want["in_time"] = !w.answer.IsZero() && !w.answer.After(due)
			}
			sameRows(t, "wait "+what, got, want)
			for _, text := range w.unanswered {
				open = append(open, name(w.tenant, w.thread, text))
			}
			if len(w.unanswered) > 0 {
				counts["due"]++
				d := dueGot[name(w.tenant, w.thread, "")]
				if d == nil {
					t.Errorf("%s: is not due, want it to be", what)
					continue
				}
				sameRows(t, "due "+what, d, map[string]any{"waiting_since": w.started, "due_at": due, "metric": metric, "messages": len(w.unanswered), "text": w.unanswered[0], "target_seconds": target.Seconds()})
				if g := d["waiting_business_seconds"].(float64); math.Abs(g-business(hours[w.tenant], w.started, now).Seconds()) > 300 {
					t.Errorf("due %s: %v business seconds, want about %v", what, g, business(hours[w.tenant], w.started, now).Seconds())
				}
			}
		}
		for i, c := range cycles {
			counts["cycles"]++
			what := name(c.tenant, c.thread, c.cycle)
			want := map[string]any{"opened_at": c.opened, "started_at": c.started, "resolved_at": c.ended, "last": i == len(cycles)-1, "first_seconds": nil,
				"full_seconds": nil, "cycle_seconds": nil, "cycle_business_seconds": nil, "full_business_seconds": nil, "in_time": nil}
			target := 72 * time.Hour
			due := c.started.Add(target)
			if c.tenant == "acme" {
				target = 24 * time.Hour
				due = calendar.Due(hours["acme"], c.started, target)
			}
			want["due_at"] = due
			if !due.After(now) {
				want["in_time"] = !c.ended.IsZero() && business(hours[c.tenant], c.started, c.ended) <= target
			}
			if !c.ended.IsZero() {
				spent := business(hours[c.tenant], c.started, c.ended)
				want["cycle_seconds"], want["cycle_business_seconds"] = c.ended.Sub(c.started), spent
				if i == 0 {
					want["first_seconds"] = c.ended.Sub(c.opened)
				}
				if i == len(cycles)-1 {
					want["full_seconds"], want["full_business_seconds"] = c.ended.Sub(c.opened), business(hours[c.tenant], c.opened, c.ended)
				}
			}
			if cyclesGot[what] == nil {
				t.Errorf("%s: no such cycle", what)
				continue
			}
			sameRows(t, "cycle "+what, cyclesGot[what], want)
			delete(cyclesGot, what)
		}
		for _, d := range th.decisions() {
			counts["decisions"]++
			what := name(d.tenant, d.thread, stamped(d.at))
			if decisions[what] == nil {
				t.Errorf("%s: no such decision", what)
				continue
			}
			want := map[string]any{"verdict": d.verdict, "verdict_at": d.said, "made_at": d.made, "outcome": d.outcome, "promise_due": d.due, "fulfilled_at": d.fulfilled, "informed_at": d.told, "kept": nil}
			if !d.due.IsZero() && !d.due.After(now) {
				want["kept"] = !d.fulfilled.IsZero() && !d.fulfilled.After(d.due)
				counts["promises"]++
			}
			sameRows(t, "decision "+what, decisions[what], want)
			for _, due := range d.promises {
				promised = append(promised, name(d.tenant, d.thread, fmt.Sprint(due.UnixMilli())))
			}
		}
		what := name(th.tenant, th.thread, "")
		l := th.loop()
		got := cases[what]
		if got == nil {
			t.Errorf("%s: no such case", what)
			continue
		}
		want := map[string]any{"failed_at": l.failed, "responded_at": l.responded, "decided_at": l.decided, "informed_at": l.informed, "failed_again_at": l.again, "loop_closed": nil,
			"initial_rating": nil, "follow_up_rating": nil}
		if !l.failed.IsZero() {
			want["loop_closed"] = !l.responded.IsZero() && !l.informed.IsZero()
			if l.customer != "" {
				for _, at := range l.letdowns {
					failures[th.tenant+" "+l.customer] = append(failures[th.tenant+" "+l.customer], letDown{at, th.thread})
				}
			}
		}
		if !th.lone {
			if l.follow != nil {
				want["follow_up_rating"] = *l.follow
			}
			if l.initial != nil && l.follow == nil {
				want["initial_rating"] = *l.initial
			} else {
				delete(want, "initial_rating") // a rating after the follow-up is none to begin with; golden cases hold that
			}
		}
		sameRows(t, "case "+what, got, want)
	}
	slices.Sort(open)
	slices.Sort(waiting)
	if !slices.Equal(open, waiting) {
		t.Errorf("needs_response has %d texts, want %d", len(waiting), len(open))
	}
	for what := range cyclesGot {
		t.Errorf("a cycle too many: %s %v", what, cyclesGot[what])
	}
	for what, got := range map[string]int{"waits": len(times), "cycles": counts["cycles"], "due": len(dueGot), "decisions": len(decisions)} {
		if got != counts[what] || got < 30 {
			t.Errorf("%d %s, want %d, and enough to prove something", got, what, counts[what])
		}
	}
	var kept []string
	for _, row := range ask(t, s, "SELECT tenant, thread, toString(p.due) AS due FROM loops ARRAY JOIN promises AS p") {
		kept = append(kept, name(row["tenant"].(string), row["thread"].(string), row["due"]))
	}
	slices.Sort(kept)
	slices.Sort(promised)
	if !slices.Equal(kept, promised) {
		t.Errorf("promises %v, want %v", kept, promised)
	}
	again := 0
	downs := view("SELECT *, customer_key AS c FROM double_deviations", at("failed_at"))
	for whose, list := range failures {
		slices.SortFunc(list, func(a, b letDown) int { return cmpOr(a.at.Compare(b.at), strings.Compare(a.name, b.name)) })
		for i, f := range list {
			var next time.Time
			if i+1 < len(list) {
				next = list[i+1].at
			}
			what := name(strings.Fields(whose)[0], f.name, stamped(f.at))
			if downs[what] == nil {
				t.Errorf("%s: no such failure", what)
				continue
			}
			sameRows(t, "failure "+what, downs[what], map[string]any{"again_at": next, "customer_key": strings.Fields(whose)[1]})
			if !next.IsZero() {
				again++
			}
			delete(downs, what)
		}
	}
	if len(downs) > 0 || again < 20 {
		t.Errorf("%d failures too many, %d double deviations", len(downs), again)
	}
	if counts["promises"] < 20 {
		t.Errorf("%d promises prove nothing", counts["promises"])
	}
}

func cmpOr(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}
