package clickhouse_test

import (
	"bytes"
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
	"github.com/earshot/earshot/schemas/sql"
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
	var open []string
	counts := map[string]int{}
	type letDown struct {
		at    time.Time
		again time.Time
		name  string
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
				"full_seconds": nil, "cycle_seconds": nil, "cycle_business_seconds": nil, "full_business_seconds": nil}
			if !c.ended.IsZero() {
				spent := business(hours[c.tenant], c.started, c.ended)
				want["cycle_seconds"], want["cycle_business_seconds"] = c.ended.Sub(c.started), spent
				target := 72 * time.Hour
				if c.tenant == "acme" {
					target = 24 * time.Hour
				}
				want["in_time"] = spent <= target
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
				failures[th.tenant+" "+l.customer] = append(failures[th.tenant+" "+l.customer], letDown{l.failed, l.again, th.thread})
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
	again := 0
	downs := view("SELECT *, customer_key AS c FROM double_deviations", at("failed_at"))
	for whose, list := range failures {
		slices.SortFunc(list, func(a, b letDown) int { return cmpOr(a.at.Compare(b.at), strings.Compare(a.name, b.name)) })
		for i, f := range list {
			next := f.again
			if i+1 < len(list) && (next.IsZero() || list[i+1].at.Before(next)) {
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

// What people would argue about, one case each: the marks of a case by minutes, and what its clocks say.
func TestClocksGoldenCases(t *testing.T) {
	s := open(t)
	type step struct {
		minute            int
		kind              schemas.Kind
		actor, visibility string
		needed            bool
	}
	says := func(minute int, needed bool) step {
		return step{minute, schemas.MessagePosted, "customer", "", needed}
	}
	opens := step{30, schemas.CaseOpened, "system", "", false}
	answers := func(minute int) step { return step{minute, schemas.AgentResponded, "agent", "public", false} }
	resolves := func(minute int) step { return step{minute, schemas.CaseResolved, "agent", "", false} }
	cases := []struct {
		claim  string
		steps  []step
		waits  string // cycle metric start+seconds, or start+? where nobody wasAnswered
		cycles string // start+seconds, or start+?
		due    bool
	}{
		{"the clock starts when the customer spoke, not when a ticket was opened", []step{says(0, true), opens, answers(45)}, "1 first 0+45", "0+?", false},
		{"nor when the first words were not understood as a question", []step{says(0, false), opens, answers(45)}, "1 first 0+45", "0+?", false},
		{"an internal note is no answer", []step{says(0, true), {5, schemas.AgentResponded, "agent", "internal", false}, answers(45)}, "1 first 0+45", "0+?", false},
		{"a bot is no answer", []step{says(0, true), {5, schemas.AgentResponded, "bot", "public", false}, {6, schemas.MessagePosted, "bot", "", false}}, "1 first 0+?", "0+?", true},
		{"messages in a row are one wait", []step{says(0, true), says(10, true), says(20, true), answers(45)}, "1 first 0+45", "0+?", false},
		{"a later question is a next response", []step{says(0, true), answers(10), says(60, true), answers(75)}, "1 first 0+10, 1 next 60+15", "0+?", false},
		{"thanks are no wait", []step{says(0, true), answers(10), says(60, false), answers(75)}, "1 first 0+10", "0+?", false},
		{"who thanks and asks waits since the question", []step{says(0, true), answers(10), says(60, false), says(70, true), answers(75)}, "1 first 0+10, 1 next 70+5", "0+?", false},
		{"a word to the customer is an answer", []step{says(0, true), {20, schemas.CustomerInformed, "system", "", false}}, "1 first 0+20", "0+?", false},
		{"a resolution is no answer, but nobody is due", []step{says(0, true), resolves(20)}, "1 first 0+?", "0+20", false},
		{"an answer after the resolution counts", []step{says(0, true), resolves(20), answers(21)}, "1 first 0+21", "0+20", false},
		{"a case that is reopened has a first response again", []step{says(0, true), answers(10), resolves(20), {100, schemas.CaseReopened, "customer", "", false}, answers(130), resolves(140)}, "1 first 0+10, 2 first 100+30", "0+20, 100+40", false},
		{"a question after the end reopens it", []step{says(0, true), answers(10), resolves(20), says(90, true)}, "1 first 0+10, 2 first 90+?", "0+20, 90+?", true},
		{"thanks after the end do not", []step{says(0, true), answers(10), resolves(20), says(90, false)}, "1 first 0+10", "0+20", false},
		{"what the company reopens is no wait", []step{says(0, true), answers(10), resolves(20), {100, schemas.CaseReopened, "agent", "", false}, resolves(140)}, "1 first 0+10", "0+20, 100+40", false},
		{"a second resolution is none", []step{says(0, true), answers(10), resolves(20), resolves(50)}, "1 first 0+10", "0+20", false},
		{"an agent who begins is wasAnswered, not waited for", []step{answers(0), says(20, true), answers(30)}, "1 first 20+10", "20+?", false},
		{"answer and end at the sameRows moment", []step{says(0, true), resolves(20), answers(20)}, "1 first 0+20", "0+20", false},
		{"a greeting nobody answers is no wait", []step{says(0, false)}, "", "", false},
		{"a greeting somebody answers is one", []step{says(0, false), answers(5)}, "1 first 0+5", "0+?", false},
	}
	var h threadHistory
	for i, c := range cases {
		for _, st := range c.steps {
			h = append(h, happened(uint64(len(h)+1), spring.Add(time.Duration(st.minute)*time.Minute), st.kind, func(r *schemas.Row) {
				d := &r.Event.Data
				d.CaseID, d.ActorKind, d.Visibility, r.Labels.ResponseNeeded, d.Text = fmt.Sprint(i), st.actor, st.visibility, st.needed, c.claim
			}))
		}
	}
	h.store(t, s)
	lists := func(statement string) map[string]string {
		out := map[string]string{}
		for _, row := range ask(t, s, statement) {
			out[row["thread"].(string)] = row["list"].(string)
		}
		return out
	}
	const minutes = "dateDiff('minute', toDateTime64('2026-03-22 07:00:00', 3, 'UTC'), started_at)"
	waits := lists("SELECT thread, arrayStringConcat(arraySort(x -> x.1, groupArray((started_at, concat(toString(cycle), if(metric = 'first_response', ' first ', ' next '), toString(" + minutes + "), '+', ifNull(toString(toUInt32(wall_seconds / 60)), '?'))))).2, ', ') AS list FROM response_times GROUP BY thread")
	cycles := lists("SELECT thread, arrayStringConcat(arraySort(x -> x.1, groupArray((started_at, concat(toString(" + minutes + "), '+', ifNull(toString(toUInt32(cycle_seconds / 60)), '?'))))).2, ', ') AS list FROM case_cycles GROUP BY thread")
	due := lists("SELECT thread, 'due' AS list FROM due")
	for i, c := range cases {
		id := fmt.Sprint(i)
		if waits[id] != c.waits || cycles[id] != c.cycles || (due[id] != "") != c.due {
			t.Errorf("%s: waits %q, cycles %q, due %v; want %q, %q, %v", c.claim, waits[id], cycles[id], due[id] != "", c.waits, c.cycles, c.due)
		}
	}
	merge(t, s)
	if again := lists("SELECT thread, 'due' AS list FROM due"); !maps.Equal(due, again) {
		t.Errorf("after a merge other customers are due: %v, were %v", again, due)
	}
}

// The loop's figures of a dozen cases, by hand: what each query counts, of how many, and with which interval.
func TestLoopGoldenCases(t *testing.T) {
	s := open(t)
	var h threadHistory
	add := func(id, customer string, hour int, kind schemas.Kind, set func(r *schemas.Row)) {
		h = append(h, happened(uint64(len(h)+1), spring.Add(time.Duration(hour)*time.Hour), kind, func(r *schemas.Row) {
			r.Event.Data.CaseID, r.CustomerKey = id, customer
			set(r)
		}))
	}
	agent := func(r *schemas.Row) { r.Event.Data.ActorKind = "agent" }
	rated := func(stars float32) func(*schemas.Row) {
		return func(r *schemas.Row) { r.Scores.Rating = schemas.Score{Value: (stars - 3) / 2, Valid: true} }
	}
	for i := range 10 { // ten customers are let down with one star
		id, customer := fmt.Sprint("c", i), fmt.Sprint("k", i)
		add(id, customer, 0, schemas.RatingSubmitted, rated(1))
		if i < 8 {
			add(id, "", 1, schemas.AgentResponded, agent)
			add(id, "", 2, schemas.DecisionProposed, agent)
		}
		if i < 4 {
			add(id, customer, 3, schemas.DecisionAnswered, func(r *schemas.Row) { r.Event.Data.Verdict = "counter" })
		}
		if i < 6 {
			add(id, "", 4, schemas.DecisionMade, func(r *schemas.Row) {
				r.Event.Data.ActorKind, r.Event.Data.Outcome, r.Event.Data.PromiseDue = "agent", "refund", spring.Add(8*time.Hour).Format(time.RFC3339)
			})
		}
		if i < 5 {
			add(id, "", 5, schemas.CustomerInformed, agent)
			add(id, "", 7+i, schemas.CaseResolved, agent) // two by the time promised
			add(id, customer, 20, schemas.FollowupRated, rated(float32(5-i)))
		}
	}
	add("late", "k9", 24*29, schemas.RatingSubmitted, rated(2)) // let down again within thirty days, by another case
	h.store(t, s)
	q, err := sql.Find("loop")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := s.Named(t.Context(), q, map[string]string{"tenant": "acme", "to": "2026-04-01 00:00:00"}, "JSONEachRow", &out); err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]any{}
	for _, row := range decode(t, &out) {
		got[row["figure"].(string)] = row
	}
	wilson := func(hits, n float64) (value, low, high float64) {
		p := hits / n
		middle, half := p+z*z/(2*n), z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
		return 100 * p, math.Max(100*(middle-half)/(1+z*z/n), 0), math.Min(100*(middle+half)/(1+z*z/n), 100)
	}
	for figure, want := range map[string][2]float64{
		"loop_closure":           {5, 10},
		"decision_participation": {4, 8},
		"promises_kept":          {2, 6},
		"recovery_rate":          {2, 5},  // five and four stars
		"double_deviation":       {3, 10}, // two follow-ups with two stars and one, and another case of the tenth customer
	} {
		value, low, high := wilson(want[0], want[1])
		row := got[figure]
		if row == nil || row["n"] != want[1] {
			t.Errorf("%s: %v, want n %v", figure, row, want[1])
			continue
		}
		for name, w := range map[string]float64{"value": value, "low": low, "high": high} {
			if g, ok := row[name].(float64); !ok || math.Abs(g-w) > 0.0051 {
				t.Errorf("%s: %s is %v, want %.2f", figure, name, row[name], w)
			}
		}
	}
	// Risen by 4, 3, 2, 1 and 0 points: 2 on average, with a standard deviation of the root of 2.5.
	half := z * math.Sqrt(2.5/5)
	for name, w := range map[string]float64{"n": 5, "value": 2, "low": 2 - half, "high": 2 + half} {
		if g, ok := got["recovery_delta"][name].(float64); !ok || math.Abs(g-w) > 0.0051 {
			t.Errorf("recovery_delta: %s is %v, want %.2f", name, g, w)
		}
	}
}
