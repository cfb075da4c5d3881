package clickhouse_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/earshot/earshot/processors/revise"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/schemas/sql"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// Mending a typo asks nothing again, reopens nothing and answers nothing later: an edit has the moment, kind and place of what was
// said first, for as long as that is there.
func TestEditsGoldenCases(t *testing.T) {
	s := open(t)
	type step struct {
		id, of        string // of names what is changed or taken back
		minute        int
		kind          schemas.Kind
		actor         string
		needed, alone bool // alone: it names no case
		late          bool // it comes in when the rest has taken effect
	}
	const edit, posted, opened, answered, solved = schemas.FeedbackUpdated, schemas.MessagePosted, schemas.CaseOpened, schemas.AgentResponded, schemas.CaseResolved
	asks := step{id: "q", minute: 0, kind: posted, needed: true}
	cases := []struct {
		claim  string
		steps  []step
		waits  string // cycle metric start+minutes, or start+? where nobody answered
		cycles string
		due    bool
	}{
		{"what was answered and then edited is not asked again", []step{asks, {id: "a", minute: 45, kind: answered, actor: "agent"}, {of: "q", minute: 60, kind: edit, needed: true}}, "1 first 0+45", "0+?", false},
		{"what waits has waited since it was said first", []step{asks, {of: "q", minute: 60, kind: edit, needed: true}}, "1 first 0+?", "0+?", true},
		{"what asks for nothing any more waits no more", []step{asks, {of: "q", minute: 60, kind: edit}}, "", "", false},
		{"a case edited after its end is not reopened", []step{{id: "o", minute: 0, kind: opened, needed: true}, {id: "a", minute: 10, kind: answered, actor: "agent"}, {id: "r", minute: 20, kind: solved, actor: "agent"},
			{of: "o", minute: 60, kind: edit, needed: true}}, "1 first 0+10", "0+20", false},
		{"nor where the edit does not name the case", []step{{id: "o", minute: 0, kind: opened, needed: true}, {id: "a", minute: 10, kind: answered, actor: "agent"}, {id: "r", minute: 20, kind: solved, actor: "agent"},
			{of: "o", minute: 60, kind: edit, needed: true, alone: true}}, "1 first 0+10", "0+20", false},
		{"lone feedback that is edited stays in the case opened on it", []step{{id: "l", minute: 0, kind: schemas.FeedbackReceived, needed: true, alone: true}, {id: "o", of: "l", minute: 30, kind: opened, actor: "system"},
			{id: "a", minute: 45, kind: answered, actor: "agent"}, {id: "l2", of: "l", minute: 60, kind: edit, needed: true, alone: true}, {of: "l2", minute: 70, kind: edit, needed: true, alone: true}}, "1 first 0+45", "0+?", false},
		{"and so where the opening is edited", []step{{id: "l", minute: 0, kind: schemas.FeedbackReceived, needed: true, alone: true}, {id: "o", of: "l", minute: 30, kind: opened, actor: "system"},
			{id: "a", minute: 45, kind: answered, actor: "agent"}, {of: "o", minute: 60, kind: edit, actor: "system"}}, "1 first 0+45", "0+?", false},
		{"an agent who edits an answer has answered", []step{asks, {id: "a", minute: 10, kind: answered, actor: "agent"}, {of: "a", minute: 600, kind: edit, actor: "agent"}}, "1 first 0+10", "0+?", false},
		{"an edited internal note is no answer", []step{asks, {id: "a", minute: 10, kind: answered, actor: "agent internal"}, {of: "a", minute: 20, kind: edit, actor: "agent"}}, "1 first 0+?", "0+?", true},
		{"an edit of an edit", []step{asks, {id: "a", minute: 45, kind: answered, actor: "agent"}, {id: "q2", of: "q", minute: 60, kind: edit, needed: true}, {of: "q2", minute: 70, kind: edit, needed: true}}, "1 first 0+45", "0+?", false},
		{"an edit that takes effect after another", []step{asks, {id: "a", minute: 45, kind: answered, actor: "agent"}, {of: "q", minute: 60, kind: edit, needed: true}, {of: "q", minute: 70, kind: edit, needed: true, late: true}}, "1 first 0+45", "0+?", false},
		{"an edit before what it changes", []step{{id: "q", kind: posted, needed: true, late: true}, {id: "a", minute: 45, kind: answered, actor: "agent"}, {of: "q", minute: 60, kind: edit, needed: true}}, "1 first 0+45", "0+?", false},
		{"an edit of what never came stands for itself", []step{{id: "a", minute: 45, kind: answered, actor: "agent"}, {id: "q2", of: "none", minute: 60, kind: edit, needed: true}}, "1 first 60+?", "60+?", true},
		{"an edit of such an edit, too", []step{{id: "a", minute: 45, kind: answered, actor: "agent"}, {id: "q2", of: "none", minute: 60, kind: edit, needed: true}, {of: "q2", minute: 70, kind: edit, needed: true}}, "1 first 70+?", "70+?", true},
		{"after a deletion nothing counts", []step{asks, {of: "q", minute: 60, kind: edit, needed: true}, {of: "q", minute: 70, kind: schemas.FeedbackDeleted, late: true}}, "", "", false},
	}
	var now, later threadHistory
	seq := uint64(0)
	add := func(minute int, kind schemas.Kind, late bool, set func(r *schemas.Row)) {
		seq++
		to := &now
		if late {
			to = &later
		}
		*to = append(*to, happened(seq, spring.Add(time.Duration(minute)*time.Minute), kind, func(r *schemas.Row) {
			r.ReceivedAt = spring.AddDate(0, 0, 2) // all at the same time
			set(r)
		}))
	}
	for i, c := range cases {
		name := func(id string) string { return fmt.Sprint(i, "-", id) }
		for n, st := range c.steps {
			add(st.minute, st.kind, st.late, func(r *schemas.Row) {
				e, d := r.Event, &r.Event.Data
				e.ID, r.Labels.ResponseNeeded, d.Text = name(fmt.Sprint(st.id, n)), st.needed, c.claim
				if st.id != "" {
					e.ID = name(st.id)
				}
				if !st.alone {
					d.CaseID = fmt.Sprint(i)
				}
				if d.ActorKind = st.actor; st.actor == "agent internal" {
					d.ActorKind, d.Visibility = "agent", "internal"
				}
				switch {
				case st.kind == opened && st.of != "":
					e.Causation = "/desk#" + name(st.of)
				case st.of != "":
					d.EventRef = "/desk#" + name(st.of)
				}
			})
		}
	}
	// A case with a complaint and a rating after it, which is mended from two stars to five.
	rated := func(stars float32) func(*schemas.Row) {
		return func(r *schemas.Row) {
			r.Event.Data.CaseID, r.CustomerKey, r.Scores.Rating = "rated", "k", schemas.Score{Value: (stars - 3) / 2, Valid: true}
		}
	}
	add(0, schemas.RatingSubmitted, false, rated(1))
	add(60, schemas.FollowupRated, false, rated(2))
	follow := now[len(now)-1].Event.ID
	add(90, edit, false, func(r *schemas.Row) {
		rated(5)(r)
		r.Event.Data.EventRef = "/desk#" + follow
	})
	r := revise.New(s)
	for _, some := range []threadHistory{now, later} {
		some.store(t, s)
		if _, err := r.Step(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	lists := func(statement string) map[string]string {
		out := map[string]string{}
		for _, row := range ask(t, s, statement) {
			out[row["thread"].(string)] = row["list"].(string)
		}
		return out
	}
	check := func(when string) {
		t.Helper()
		const minutes = "dateDiff('minute', toDateTime64('2026-03-22 07:00:00', 3, 'UTC'), started_at)"
		waits := lists("SELECT thread, arrayStringConcat(arraySort(x -> x.1, groupArray((started_at, concat(toString(cycle), if(metric = 'first_response', ' first ', ' next '), toString(" + minutes + "), '+', ifNull(toString(toUInt32(wall_seconds / 60)), '?'))))).2, ', ') AS list FROM response_times GROUP BY thread")
		cycles := lists("SELECT thread, arrayStringConcat(arraySort(x -> x.1, groupArray((started_at, concat(toString(" + minutes + "), '+', ifNull(toString(toUInt32(cycle_seconds / 60)), '?'))))).2, ', ') AS list FROM case_cycles GROUP BY thread")
		due := lists("SELECT thread, 'due' AS list FROM due")
		for i, c := range cases {
			id := fmt.Sprint(i)
			if waits[id] != c.waits || cycles[id] != c.cycles || (due[id] != "") != c.due {
				t.Errorf("%s%s: waits %q, cycles %q, due %v; want %q, %q, %v", c.claim, when, waits[id], cycles[id], due[id] != "", c.waits, c.cycles, c.due)
			}
		}
		for thread := range waits { // lone feedback has a thread of its own where it belongs to no case
			if len(thread) > 2 && thread != "rated" {
				t.Errorf("%s waits by itself%s", thread, when)
			}
		}
		q, err := sql.Find("loop")
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := s.Named(t.Context(), q, map[string]string{"tenant": "acme", "to": "2026-04-01 00:00:00"}, "JSONEachRow", &out); err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, row := range decode(t, &out) {
			switch row["figure"] {
			case "recovery_rate":
				seen++
				if row["value"] != 100.0 || row["n"] != 1.0 {
					t.Errorf("recovery_rate%s is %v of %v, want 100 of 1", when, row["value"], row["n"])
				}
			case "recovery_delta":
				seen++
				if row["value"] != 4.0 || row["n"] != 1.0 {
					t.Errorf("recovery_delta%s is %v of %v, want 4 of 1", when, row["value"], row["n"])
				}
			}
		}
		if seen != 2 {
			t.Errorf("%d figures of recovery%s", seen, when)
		}
	}
	check("")
	merge(t, s)
	check(" after a merge")
	if _, err := revise.New(s).Step(t.Context(), time.Now()); err != nil { // another process
		t.Fatal(err)
	}
	check(" when all is looked at again")
}

// Alerts look at who waits now: an edit after an answer makes nobody wait, and one of what is unanswered nobody begin anew.
func TestEditsMakeNobodyWaitAnewForAlerts(t *testing.T) {
	s := open(t)
	var h threadHistory
	began := time.Now().UTC().Truncate(time.Millisecond)
	add := func(id, of, whose, actor string, minutesAgo int, kind schemas.Kind) {
		h = append(h, happened(uint64(len(h)+1), began.Add(-time.Duration(minutesAgo)*time.Minute), kind, func(r *schemas.Row) {
			d := &r.Event.Data
			r.Event.ID, d.CaseID, d.ActorKind, r.CustomerKey, r.Labels.ResponseNeeded = id, whose, actor, whose, actor == ""
			if of != "" {
				d.EventRef = "/desk#" + of
			}
		}))
	}
	add("1", "", "answered", "", 400, schemas.MessagePosted)
	add("2", "", "answered", "agent", 390, schemas.AgentResponded)
	add("3", "1", "answered", "", 300, schemas.FeedbackUpdated) // more than four hours ago
	add("4", "", "waits", "", 400, schemas.MessagePosted)
	add("5", "4", "waits", "", 10, schemas.FeedbackUpdated)
	add("6", "", "mended", "", 400, schemas.MessagePosted)
	add("7", "", "mended", "agent", 390, schemas.AgentResponded)
	add("8", "7", "mended", "agent", 380, schemas.FeedbackUpdated)
	h.store(t, s)
	if _, err := revise.New(s).Step(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	q, err := sql.Find("alert_waiting")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := s.Named(t.Context(), q, nil, "JSONEachRow", &out); err != nil {
		t.Fatal(err)
	}
	if rows := decode(t, &out); len(rows) != 1 || rows[0]["total"] != 1.0 {
		t.Errorf("%v wait, want the one who was not answered", rows)
	}
}

// What an earlier program marked as superseded has lost its kind; its edit gets the moment and the place all the same, once.
func TestWhatWasEditedBeforeKeepsItsMoment(t *testing.T) {
	s := open(t)
	var h threadHistory
	for i, kind := range []schemas.Kind{schemas.MessagePosted, schemas.AgentResponded, schemas.FeedbackUpdated} {
		h = append(h, happened(uint64(i+1), spring.Add(time.Duration(i)*time.Hour), kind, func(r *schemas.Row) {
			d := &r.Event.Data
			if d.CaseID, r.Labels.ResponseNeeded = "c", true; i == 1 {
				d.ActorKind, r.Labels.ResponseNeeded = "agent", false
			}
			if i == 2 {
				d.CaseID, d.EventRef = "", "/desk#1"
			}
		}))
	}
	h.store(t, s)
	if err := clickhouse.Exec(t.Context(), s, "ALTER TABLE feedback UPDATE kind = 'superseded' WHERE seq = 1 SETTINGS mutations_sync = 2"); err != nil {
		t.Fatal(err)
	}
	mutations := func() string {
		return text(t, s, "SELECT count() FROM system.mutations WHERE database = currentDatabase()")
	}
	var was string
	for range 2 {
		was = mutations()
		if _, err := revise.New(s).Step(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if now := mutations(); now != was {
		t.Errorf("looked at again, %s statements have changed rows, %s before", now, was)
	}
	if got := text(t, s, "SELECT thread, wall_seconds FROM response_times"); got != "c\t3600\n" {
		t.Errorf("waits: %q", got)
	}
}
