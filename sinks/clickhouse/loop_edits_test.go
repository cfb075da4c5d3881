package clickhouse_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/processors/revise"
	"github.com/earshot/earshot/schemas"
	"github.com/earshot/earshot/sinks/clickhouse"
)

// revised changes some of what a stored history says, and takes some of it back, lets that take effect, and returns the history
// that is left: of what was changed the last words and labels, at the moment, in the place and as what it was said first.
func (h threadHistory) revised(t *testing.T, s *clickhouse.Store) (left threadHistory) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(9, 9))
	seq := uint64(1_000_000)
	at := map[string]int{} // of a tenant and moment: how many things happened then; what is ambiguous is left as it is
	for i := range h {
		at[h[i].Event.Tenant+h[i].Event.Time.String()]++
	}
	var changes threadHistory
	counts := map[string]int{}
	received := func(r *schemas.Row) {
		r.ReceivedAt = spring.AddDate(0, 0, 60).Add(time.Duration(len(changes)) * time.Second)
	}
	// change makes a row that is said in the place of another, with new words and labels, and with or without its place.
	change := func(of, first *schemas.Row, later time.Duration) schemas.Row {
		seq++
		return happened(seq, first.Event.Time.Add(later), schemas.FeedbackUpdated, func(r *schemas.Row) {
			received(r)
			e, d := r.Event, &r.Event.Data
			e.Source, e.Tenant, d.EventRef = first.Event.Source, first.Event.Tenant, of.Event.Source+"#"+of.Event.ID
			d.Channel, d.ActorKind, d.Text = first.Event.Data.Channel, pick(rnd, "", first.Event.Data.ActorKind), fmt.Sprint("other text ", seq)
			if rnd.IntN(2) == 0 {
				d.CaseID, d.ConversationID, e.Correlation = first.Event.Data.CaseID, first.Event.Data.ConversationID, first.Event.Correlation
			}
			r.CustomerKey, r.Labels, r.Scores = first.CustomerKey, first.Labels, first.Scores
			if a := first.Event.Data.ActorKind; a == "" || a == "customer" {
				r.Labels.ResponseNeeded, r.Labels.Polarity = rnd.IntN(3) > 0, pick(rnd, schemas.Negative, schemas.Positive)
			}
			if f := &first.Event.Data; f.CaseID+f.ConversationID+first.Event.Correlation == "" && first.Labels.ResponseNeeded {
				r.Labels.ResponseNeeded = true // on what asks for nothing nobody opens a case
			}
			if r.Scores.Rating.Valid {
				r.Scores.Rating.Value = float32(rnd.IntN(5))/2 - 1
			}
		})
	}
	for i := range h {
		first := &h[i]
		if rnd.IntN(4) > 0 || at[first.Event.Tenant+first.Event.Time.String()] > 1 || first.Event.Kind == schemas.SurveySent {
			left = append(left, *first)
			continue
		}
		counts[string(first.Event.Kind)]++
		last := change(first, first, time.Duration(1+rnd.IntN(72*3600_000))*time.Millisecond)
		changes = append(changes, last)
		if rnd.IntN(3) == 0 { // a change of the change, or another of the first; what was said last counts
			again := change(pick(rnd, &last, first), first, time.Duration(1+rnd.IntN(72*3600_000))*time.Millisecond)
			changes = append(changes, again)
			if again.Event.Time.After(last.Event.Time) {
				last = again
			}
		}
		if rnd.IntN(8) == 0 {
			counts["deleted"]++
			seq++
			changes = append(changes, happened(seq, first.Event.Time.Add(time.Hour), schemas.FeedbackDeleted, func(r *schemas.Row) {
				received(r)
				r.Event.Tenant, r.Event.Data.Channel, r.Event.Data.EventRef = first.Event.Tenant, first.Event.Data.Channel, first.Event.Source+"#"+first.Event.ID
			}))
			continue
		}
		e := *first.Event
		e.Data.Text = last.Event.Data.Text
		last.Event, last.ID = &e, first.ID
		left = append(left, last)
	}
	for i := range 20 { // of what never came
		none := *pick(rnd, &h[i], &h[len(h)-1-i])
		e := *none.Event
		none.Event, e.ID = &e, fmt.Sprint("none ", i)
		orphan := change(&none, &none, time.Duration(i)*time.Hour+time.Millisecond)
		changes, left = append(changes, orphan), append(left, orphan)
	}
	r := revise.New(s)
	for some := range slices.Chunk(changes, len(changes)/2+1) { // some take effect before the others come in
		some.store(t, s)
		if _, err := r.Step(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	// The speaker, too, is a key of the projection.
	if hours, suspects, err := s.SuspectHours(t.Context(), 1); hours == 0 || len(suspects) > 0 || err != nil {
		t.Errorf("of %d hours the projection differs from the rows in %v (%v)", hours, suspects, err)
	}
	for _, kind := range []schemas.Kind{schemas.MessagePosted, schemas.AgentResponded, schemas.CaseOpened, schemas.CaseResolved, schemas.FollowupRated, schemas.DecisionAnswered, "deleted"} {
		if counts[string(kind)] < 5 {
			t.Errorf("%d of %s are changed, which proves little", counts[string(kind)], kind)
		}
	}
	return left
}
