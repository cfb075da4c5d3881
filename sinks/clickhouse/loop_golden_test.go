package clickhouse_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
)

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
		{"a follow-up rating opens nothing again", []step{says(0, true), answers(10), resolves(20), {90, schemas.FollowupRated, "customer", "", true}}, "1 first 0+10", "0+20", false},
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
		"double_deviation":       {3, 12}, // two follow-ups with two stars and one, failures themselves, and another case of the tenth customer
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
