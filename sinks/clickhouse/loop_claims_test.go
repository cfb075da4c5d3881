package clickhouse_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
)

// What a figure of the loop counts, one claim each: the steps of a case by hours, and how many of how many.
func TestLoopClaims(t *testing.T) {
	s := open(t)
	type step struct {
		hour int
		kind schemas.Kind
		set  func(r *schemas.Row)
	}
	rated := func(hour int, kind schemas.Kind, stars float32) step {
		return step{hour, kind, func(r *schemas.Row) {
			r.Event.Data.ActorKind, r.Scores.Rating = "customer", schemas.Score{Value: (stars - 3) / 2, Valid: true}
		}}
	}
	agent := func(hour int, kind schemas.Kind) step {
		return step{hour, kind, func(r *schemas.Row) { r.Event.Data.ActorKind = "agent" }}
	}
	promises := func(hour, due int) step {
		return step{hour, schemas.DecisionMade, func(r *schemas.Row) {
			r.Event.Data.ActorKind, r.Event.Data.Outcome, r.Event.Data.PromiseDue = "agent", "fix", spring.Add(time.Duration(due)*time.Hour).Format(time.RFC3339)
		}}
	}
	disagrees := func(hour int) step {
		return step{hour, schemas.DecisionAnswered, func(r *schemas.Row) { r.Event.Data.ActorKind, r.Event.Data.Verdict = "customer", "disagree" }}
	}
	complains := rated(0, schemas.CaseOpened, 3)
	complains.set = func(r *schemas.Row) {
		rated(0, "", 3).set(r)
		r.Labels.Polarity = schemas.Negative
	}
	resolved := func(hour int) step { return agent(hour, schemas.CaseResolved) }
	cases := []struct {
		claim, figure string
		steps         []step
		value, n      float64
	}{
		{"each failure after a resolution is one of its own", "double_deviation",
			[]step{rated(0, schemas.RatingSubmitted, 1), resolved(1), rated(10, schemas.RatingSubmitted, 2), resolved(11), rated(24*30, schemas.RatingSubmitted, 1)}, 66.67, 3},
		{"failures in a row are one", "double_deviation", []step{rated(0, schemas.RatingSubmitted, 1), rated(5, schemas.RatingSubmitted, 2), resolved(11)}, 0, 1},
		{"a broken promise stays one, whatever is promised later", "promises_kept", []step{promises(4, 8), disagrees(10), promises(12, 30), resolved(20)}, 50, 2},
		{"a promise that was replaced in time is none", "promises_kept", []step{promises(4, 8), disagrees(5), promises(6, 30), resolved(20)}, 100, 1},
		{"a complaint with three stars can be recovered from", "recovery_rate", []step{complains, resolved(5), rated(10, schemas.FollowupRated, 5)}, 100, 1},
	}
	var h threadHistory
	for i, c := range cases {
		for _, st := range c.steps {
			h = append(h, happened(uint64(len(h)+1), spring.Add(time.Duration(st.hour)*time.Hour), st.kind, func(r *schemas.Row) {
				r.Event.Tenant, r.Event.Data.CaseID, r.CustomerKey = fmt.Sprint("t", i), "c", "k"
				st.set(r)
			}))
		}
	}
	h.store(t, s)
	q, err := sql.Find("loop")
	if err != nil {
		t.Fatal(err)
	}
	for _, cached := range []bool{false, true} {
		if cached {
			t.Cleanup(func() { dropCacheOf(t, s) })
			refreshed(t, s)
		}
		for i, c := range cases {
			var out bytes.Buffer
			if err := s.Named(t.Context(), q, map[string]string{"tenant": fmt.Sprint("t", i), "from": "2026-01-01 00:00:00"}, "JSONEachRow", &out); err != nil {
				t.Fatal(err)
			}
			found := false
			for _, row := range decode(t, &out) {
				if row["figure"] != c.figure {
					continue
				}
				if found = true; row["value"] != c.value || row["n"] != c.n {
					t.Errorf("%s (cached %v): %v of %v, want %v of %v", c.claim, cached, row["value"], row["n"], c.value, c.n)
				}
			}
			if !found {
				t.Errorf("%s (cached %v): no row", c.claim, cached)
			}
		}
	}
}

// A resolution is judged once its time is over, as an answer is: of the cases opened today only the quick ones are resolved.
func TestResolutionsAreJudgedWhenTheirTimeIsOver(t *testing.T) {
	s := open(t)
	var h threadHistory
	for name, began := range map[string]time.Time{"young": time.Now().Add(-2 * time.Hour), "old": time.Now().Add(-80 * time.Hour)} {
		for i, kind := range []schemas.Kind{schemas.CaseOpened, schemas.CaseResolved} {
			h = append(h, happened(uint64(len(h)+1), began.Add(time.Duration(i)*time.Hour).Truncate(time.Millisecond), kind, func(r *schemas.Row) { r.Event.Data.CaseID = name }))
		}
	}
	h.store(t, s)
	if got := text(t, s, "SELECT thread, in_time FROM case_cycles ORDER BY thread"); got != "old\ttrue\nyoung\t\\N\n" {
		t.Errorf("in time: %q", got)
	}
}

// Who wrote in a conversation that became a case, and was answered under the case, waited until then and no longer; and a word to the
// customer is an answer: the speed of service is measured by the same clocks as response times.
func TestSpeedIsMeasuredByTheClocks(t *testing.T) {
	s := open(t)
	var h threadHistory
	for i, answer := range []schemas.Kind{schemas.AgentResponded, schemas.CustomerInformed} {
		for minute, kind := range []schemas.Kind{schemas.MessagePosted, schemas.CaseOpened, answer} {
			h = append(h, happened(uint64(len(h)+1), spring.Add(time.Duration(minute)*time.Minute), kind, func(r *schemas.Row) {
				d := &r.Event.Data
				d.ActorKind = []string{"customer", "system", "agent"}[minute]
				if minute < 2 {
					d.ConversationID = fmt.Sprint("chat ", i)
				}
				if minute > 0 {
					d.CaseID = fmt.Sprint("case ", i)
				}
			}))
		}
	}
	h.store(t, s)
	if got := text(t, s, "SELECT thread, wait_seconds FROM first_answers ORDER BY thread"); got != "case 0\t120\ncase 1\t120\n" {
		t.Errorf("first answers: %q", got)
	}
	if got := text(t, s, "SELECT s5, count(), countIf(well) FROM conduct WHERE s5 = 'speed' GROUP BY s5"); got != "speed\t2\t2\n" {
		t.Errorf("conduct: %q", got)
	}
}
